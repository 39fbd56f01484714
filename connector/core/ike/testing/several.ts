/** Pairs whose ends have several resources (RFC 9611). */
import type { IkeCrypto } from '../crypto.ts'
import { notify } from '../messages.ts'
import { NOTIFY, type Payload } from '../wire/codec.ts'
import { rewrite } from './forge.ts'
import type { Pair, Side } from './pair.ts'

export const resourcesOf = (side: Side) => side.children.map(({ resource }) => resource).sort((x, y) => x - y)

/** Faults: the ends disagree, or not every resource of both has its SA, or something was reported as failed. */
export function faultsOf(pair: Pair, children: number): string[] {
  const failures = [pair.a, pair.b].flatMap((side) => side.event('failed')?.cause ?? [])
  return [...pair.disagreements({ ike: 1, children }), ...failures]
}

export function withoutInfo(payloads: readonly Payload[]): Payload[] {
  return payloads.filter((payload) => payload.type !== 'N' || payload.notify !== NOTIFY.SA_RESOURCE_INFO)
}

/** b refuses with `error` what is additional to `most` SAs, as if it had never made it. */
export function limitTo(pair: Pair, most: number, error: number): { refusals: number } {
  const seen = { refusals: 0 }
  pair.onPath = (datagram) => {
    if (datagram.from !== 'b' || pair.b.children.length <= most) return datagram
    const made = pair.b.endpoint.connection('peer')!.session!.children.pop()!
    pair.b.engine.installed.delete(made.id)
    seen.refusals++
    return rewrite(pair, cryptoOf(pair), datagram, () => [notify(error)])
  }
  return seen
}

/** Both ends have the home SA alone, and will make the others at the next tick. */
export function aboutToMake(pair: Pair): void {
  pair.onPath = (datagram) => rewrite(pair, cryptoOf(pair), datagram, withoutInfo)
  pair.establish()
  pair.onPath = undefined
  for (const { endpoint } of [pair.a, pair.b]) endpoint.connection('peer')!.session!.shared.add('net')
  for (const name of ['a', 'b'] as const) pair.input(name, { type: 'initiate', connection: 'peer' })
}

/** Every two messages that are on their way at the same time cross. */
export function crossEverything(pair: Pair): void {
  for (let step = 0; step < 400 && pair.inFlight.length > 0; step++) {
    const sending = (['a', 'b'] as const).filter((name) => pair.sent(name))
    for (const datagram of sending.map((name) => pair.take(name))) pair.deliver(datagram)
  }
}

function cryptoOf(pair: Pair): IkeCrypto {
  return pair.a.endpoint.connection('peer')!.context.crypto
}
