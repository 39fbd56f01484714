/** The walk of docs/map.md: from a wish in the API to a plan that a connector carries out. To be read. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { managedPlan } from '../../connector/config/managed-plan.ts'
import { Keeper, type TunnelPlan } from '../../connector/core/managed/keeper.ts'
import { LinkClient, type LinkEffect } from '../../connector/core/managed/link.ts'
import { epochCrypto, makeEpochPair } from '../../connector/io/managed/epoch-crypto.ts'
import { sha256, signPayload, verifiedHalves } from '../../connector/io/managed/signatures.ts'
import { type Identity, openIdentity } from '../../connector/store/enrollment.ts'
import { HeldLink } from '../../control/link/held-link.ts'
import { joinToken, makeNetwork, makeSite } from '../../control/testing/network.ts'
import { createWorld, type World } from '../../control/testing/world.ts'

test('two sites in the intent become two connectors with a tunnel and one key that only they have', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'isthmus-walk-'))
  try {
    const world = await createWorld()
    const network = await makeNetwork(world)

    // Two wishes. The second site brings a tunnel along: the topology is a mesh.
    const hq = await makeSite(network, 'hq', '10.1.0.0/16', { endpoint: { address: '192.0.2.1' } })
    const branch = await makeSite(network, 'branch', '10.2.0.0/16')

    // Two connectors join. Each has its identity from here on, and the first document.
    const left = await Connector.join(world, await joinToken(network, hq), openIdentity(join(directory, 'hq')))
    const right = await Connector.join(world, await joinToken(network, branch), openIdentity(join(directory, 'branch')))

    // Documents go out over the links, halves come back, and with both halves known the key is there.
    for (let round = 0; round < 8; round++) for (const end of [left, right]) await end.turn()

    // Both want the same tunnel with the same key, and only one of them can begin.
    expect(left.plan?.map(({ tunnel }) => tunnel.name)).toEqual(['hq-branch'])
    expect(keyOf(left)).toHaveLength(43)
    expect(keyOf(left)).toBe(keyOf(right))
    const settings = { address: '198.51.100.7', stateDirectory: directory, controlSocket: join(directory, 'socket') }
    const plan = managedPlan({ name: 'branch', prefixes: ['10.2.0.0/16'] }, right.id, right.plan!, settings)
    expect(plan.connections[0]).toMatchObject({
      routes: ['10.1.0.0/16'],
      ike: { name: 'hq-branch', remoteAddress: '192.0.2.1', initiate: true },
    })

    // The control plane knows the halves, and no key.
    const all = JSON.stringify(await world.repo.list(network.id, 'keys', { limit: 10 }))
    expect(all).toContain(left.keeper.epochs(left.plan![0]!.tunnel.id)[0]!.key)
    expect(all).not.toContain(keyOf(left))
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
})

function keyOf({ plan }: Connector): string {
  return Buffer.from(plan![0]!.keys[0]!.psk).toString('base64url')
}

/** What `connector/io/managed/managed.ts` does, with the link's two ends face to face and no packet path. */
class Connector {
  readonly id: string
  readonly keeper: Keeper
  readonly identity: Identity
  readonly network: string
  plan: readonly TunnelPlan[] | undefined
  readonly #link: LinkClient
  readonly #held: HeldLink
  readonly #inbox: string[] = []

  static async join(world: World, token: string, identity: Identity): Promise<Connector> {
    const proof = await signPayload(identity, { use: 'isthmus-join', token: sha256(token), iat: world.clock.now })
    const body = { token, publicKey: identity.publicKey, addresses: [], software: '1.0.0', proof }
    const { network, connector } = (await world.request('POST', '/v1/join', { body })).body
    return new Connector(world, identity, network, connector)
  }

  private constructor(world: World, identity: Identity, network: string, id: string) {
    this.id = id
    this.network = network
    this.identity = identity
    this.keeper = new Keeper({ network, connector: id }, undefined, epochCrypto)
    const socket = { send: (text: string) => void this.#inbox.push(text), close: () => undefined }
    this.#held = new HeldLink(world.services, { network, connector: id }, socket)
    this.#link = new LinkClient(
      () => Uint8Array.of(0),
      () => this.keeper.document,
    )
    this.#link.handle({ type: 'report', report: this.#report() }, 0)
    this.#link.handle({ type: 'start' }, 0)
    this.#link.handle({ type: 'opened' }, 0)
  }

  /** Takes what came, and says how things stand now. */
  async turn(): Promise<void> {
    await this.#held.handle({ type: 'changed' })
    for (let text = this.#inbox.shift(); text !== undefined; text = this.#inbox.shift()) {
      this.#link.handle({ type: 'message', text }, 0)
      await this.#drainLink()
    }
    this.#link.handle({ type: 'report', report: this.#report() }, 0)
    await this.#drainLink()
  }

  async #drainLink(): Promise<void> {
    for (let effect = this.#link.poll(); effect !== undefined; effect = this.#link.poll()) await this.#carryOut(effect)
  }

  async #carryOut(effect: LinkEffect): Promise<void> {
    if (effect.type === 'send') await this.#held.handle({ type: 'message', text: effect.text })
    if (effect.type !== 'document') return
    const { document } = effect
    this.keeper.handle({ type: 'document', document, halves: await verifiedHalves(document) })
    for (let wish = this.keeper.poll(); wish !== undefined; wish = this.keeper.poll()) {
      if (wish.type === 'settle') this.plan = wish.tunnels
      if (wish.type === 'make-half') await this.#makeHalf(wish.tunnel, wish.epoch, wish.peer)
    }
  }

  async #makeHalf(tunnel: string, epoch: number, peer: string): Promise<void> {
    const { privateKey, publicKey } = makeEpochPair()
    const key = Buffer.from(publicKey).toString('base64url')
    const names = { network: this.network, tunnel, epoch, connector: this.id, peer }
    const half = await signPayload(this.identity, { use: 'isthmus-epoch-key', ...names, key })
    this.keeper.handle({ type: 'half-made', tunnel, epoch, peer, privateKey, publicKey, half })
  }

  #report() {
    const tunnels = (this.keeper.document?.tunnels ?? []).map(({ id }) => ({
      tunnel: id,
      state: 'connecting' as const,
      epochs: this.keeper.epochs(id).map((epoch) => ({ ...epoch, using: false, confirmed: false })),
      traffic: { outPackets: 0, inPackets: 0, outBytes: 0, inBytes: 0, dropped: 0 },
    }))
    const addresses = ['198.51.100.7']
    return { version: this.keeper.version, startedAt: 1, at: 2, software: '1.0.0', addresses, tunnels }
  }
}
