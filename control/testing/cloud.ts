/** A cloud and a connector with tunnels to it, as models: for tests only. */
import { compactDecrypt, exportJWK, generateKeyPair, type JWK } from 'jose'
import type { DocumentExternal, ExternalStatus, ExternalsReport } from '../../protocol/control/external.ts'
import {
  type CloudAction,
  CloudFailure,
  type CloudProvider,
  type Seen,
  type Subject,
  TAG_CLOUD,
} from '../domain/cloud/provider.ts'
import { pskFingerprint } from '../domain/cloud/rules.ts'
import { ModelAws } from '../domain/cloud/testing/model-cloud.ts'
import { sign } from '../service/signatures.ts'
import type { CloudAccess } from '../service/types.ts'
import type { Caller, Joined } from './caller.ts'
import { seededRandom } from './caller.ts'
import type { TestConnector } from './connector.ts'

export const VPC = 'vpc-0123456789abcdef0'

/** What somebody would write; the site is `hq`. */
export function cloudDraft(more: object = {}): object {
  return { name: 'aws', site: 'hq', region: 'eu-central-1', target: { kind: 'vpc', vpc: VPC }, ...more }
}

/** The model of AWS for many connections, on the clock of a world. */
export class TestCloud implements CloudProvider {
  readonly aws: ModelAws
  readonly clock: { readonly now: number }
  /** Asked before each call: what it throws is what AWS says. */
  refuse: (call: 'look' | CloudAction['type']) => void = () => {}
  readonly performed: { readonly region: string; readonly action: CloudAction }[] = []
  looks: (readonly Subject[])[] = []

  constructor(clock: { readonly now: number }, seed = 1) {
    const random = seededRandom(seed)
    this.clock = clock
    this.aws = new ModelAws(() => random(1)[0]! / 256, pskFingerprint)
  }

  async look(subjects: readonly Subject[]): Promise<readonly Seen[]> {
    this.looks.push(subjects)
    this.refuse('look')
    const all = this.aws.look(this.clock.now)
    return subjects.map((subject) => seenBy(subject, all))
  }

  async perform(region: string, action: CloudAction, secrets: ReadonlyMap<string, string>) {
    this.refuse(action.type)
    this.performed.push({ region, action })
    return this.aws.perform(action, secrets, this.clock.now)
  }

  /** Whether packets pass through the tunnel with this key. */
  passes(insideCidr: string, psk: string): boolean {
    const connection = this.aws.connections.find(
      (each) => each.deletedAt === undefined && each.tunnels.some((tunnel) => tunnel.insideCidr === insideCidr),
    )
    const index = connection?.tunnels.findIndex((tunnel) => tunnel.insideCidr === insideCidr) ?? -1
    if (connection === undefined || this.clock.now < connection.availableAt) return false
    const { modifying } = connection
    if (modifying !== undefined && this.clock.now < modifying.until && modifying.tunnel === index) return false
    return connection.tunnels[index]?.psk === psk
  }
}

/** For `createWorld`: every network may. */
export function withCloud(more: Partial<CloudAccess> = {}): {
  readonly clouds: (clock: { readonly now: number }) => CloudAccess
  readonly cloud: () => TestCloud
} {
  let cloud: TestCloud | undefined
  const clouds = (clock: { readonly now: number }) => {
    cloud ??= new TestCloud(clock)
    return { provider: cloud, allows: () => true, ...more }
  }
  return { clouds, cloud: () => cloud! }
}

export function cloudFailure(kind: CloudFailure['kind'], iamAction?: string): CloudFailure {
  return new CloudFailure(kind, `Code.${kind}`, `AWS said ${kind}.`, `Do something about ${kind}.`, iamAction)
}

function seenBy({ cloud, known }: Subject, all: Seen): Seen {
  const isOwn = ({ id, tags }: { readonly id: string; readonly tags: Readonly<Record<string, string>> }) =>
    tags[TAG_CLOUD] === cloud || known.includes(id)
  const others = all.vpnConnections.filter((each) => !isOwn(each) && each.state !== 'deleted')
  return {
    ...all,
    vpnGateways: all.vpnGateways.filter(isOwn),
    vpnConnections: all.vpnConnections.filter(isOwn),
    takenInside: others.flatMap(({ tunnels }) => tunnels.flatMap(({ insideCidr }) => insideCidr ?? [])),
  }
}

/** The part of a connector that has tunnels to the cloud. It takes up at once what its document says. */
export class TestSealing {
  readonly connector: TestConnector
  readonly #cloud: () => TestCloud
  readonly #private: JWK
  readonly #published: string
  /** Packets that each tunnel has carried. */
  packets = 0
  startedAt: number
  readonly #idleSince = new Map<string, number>()

  private constructor(connector: TestConnector, cloud: () => TestCloud, key: JWK, published: string) {
    this.connector = connector
    this.#cloud = cloud
    this.#private = key
    this.#published = published
    this.startedAt = connector.startedAt
  }

  static async of(connector: TestConnector, cloud: () => TestCloud): Promise<TestSealing> {
    const { privateKey } = await generateKeyPair('ECDH-ES', { crv: 'X25519', extractable: true })
    const key = await exportJWK(privateKey)
    return new TestSealing(connector, cloud, key, await publish(connector.joined, key.x!))
  }

  /** Follows the document, and reports how the tunnels are then. */
  async round(): Promise<void> {
    const answer = await this.connector.report({ externals: await this.report() })
    if (answer.status !== 200) throw new Error(`report: ${answer.status} ${JSON.stringify(answer.body)}`)
    if (await this.connector.follow()) await this.connector.report({ externals: await this.report() })
  }

  async report(): Promise<ExternalsReport> {
    this.packets += 10
    const externals = await Promise.all(this.externals.map((each) => this.#status(each)))
    return { sealingKey: this.#published, externals, refused: [] }
  }

  get externals(): readonly DocumentExternal[] {
    return this.connector.document.externals ?? []
  }

  /** The texts of the keys in the document, the first one first. */
  async keysOf(external: DocumentExternal): Promise<string[]> {
    const opened = external.keys.map(async ({ secret, id }) => {
      const { plaintext, protectedHeader } = await compactDecrypt(secret, this.#private)
      if (protectedHeader.kid !== `${external.id}/${id}`) throw new Error(`sealed for ${protectedHeader.kid}`)
      return new TextDecoder().decode(plaintext)
    })
    return Promise.all(opened)
  }

  async #status(external: DocumentExternal): Promise<ExternalStatus> {
    const { id, drained, generation, inside, keys } = external
    const now = (this.connector.world as Caller).clock.now
    // What was sealed for another key it cannot open.
    const texts = await this.keysOf(external).catch(() => [])
    const works = texts.findIndex((text) => this.#cloud().passes(cidrOf(inside.peer), text))
    const up = works >= 0
    if (!drained) this.#idleSince.delete(id)
    else if (!this.#idleSince.has(id)) this.#idleSince.set(id, now + 500)
    const packets = this.packets
    return {
      external: id,
      state: up ? 'up' : 'connecting',
      ...(up ? { key: keys[works]!.id } : {}),
      generation,
      drained,
      passing: up,
      bgp: { established: up, flaps: 0, received: 1, accepted: 1, advertised: 1 },
      traffic: { outPackets: packets, inPackets: packets, outBytes: 0, inBytes: 0, dropped: 0, missing: 0 },
      idleMs: Math.max(0, now - (this.#idleSince.get(id) ?? now)),
    }
  }
}

function publish({ network, connector, jwk }: Joined, key: string): Promise<string> {
  return sign({ use: 'isthmus-sealing-key', network, connector, key }, jwk)
}

/** The /30 that has this address as its first host. */
function cidrOf(peer: string): string {
  const parts = peer.split('.').map(Number)
  return `${parts.slice(0, 3).join('.')}.${parts[3]! - 1}/30`
}
