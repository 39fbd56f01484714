import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { EpochStatus } from '../../protocol/control/link.ts'
import { ROTATION_STATES, type Rotation, rotationSchema } from '../../protocol/control/rotation.ts'
import { halfName, shownEpochs, type TunnelKeys } from './keys.ts'
import { reviewTunnel } from './review.ts'
import {
  abortRefusal,
  beginRotation,
  isEnded,
  queuedRotation,
  ROTATION_DEADLINES,
  type RotationSituation,
  stepRotation,
  waitingFor,
} from './rotation.ts'
import { type Ends, type EndView, needsKey, settleKeys } from './rotation-ends.ts'

const NOW = 1_000_000
const A = 'con_0000000000000000000a'
const B = 'con_0000000000000000000b'
const OLD = 4
const NEW = 5

/** What an end says of an epoch: k has published a half, a accepts, u uses, c confirmed; * marks another key than usual. */
function status(epoch: number, connector: string, said: string): EpochStatus {
  const odd = said.includes('*') ? 'f' : '0'
  return {
    epoch,
    key: `${connector}.${epoch}.${odd}`,
    accepted: said.includes('a'),
    using: said.includes('u'),
    confirmed: said.includes('c'),
    ...(said.includes('a') ? { fingerprint: `${odd}00000000000000${epoch}` } : {}),
  }
}

/** `carriedOut` 0: it has not heard of the last change; else it has. */
function end(connector: string, knows: boolean, epochs: Record<number, string>): EndView {
  const said = Object.entries(epochs).map(([epoch, what]) => status(Number(epoch), connector, what))
  return { connector, documentVersion: 20, carriedOut: knows ? 20 : 1, epochs: said }
}

const both = (knows: boolean, epochs: Record<number, string>): Ends => [end(A, knows, epochs), end(B, knows, epochs)]
const settled = both(true, { [OLD]: 'kauc' })

const established: TunnelKeys = {
  id: 'tun_00000000000000000000',
  ends: [A, B],
  current: OLD,
  currentSince: 5,
  highest: OLD,
  halves: { [halfName(OLD, A)]: `${A}.4.0`, [halfName(OLD, B)]: `${B}.4.0` },
}

const queued = queuedRotation(
  { id: 'rot_00000000000000000000', tunnel: established.id, trigger: 'manual', startedBy: 'schedule', now: NOW },
  established,
)

type Way = Pick<RotationSituation, 'rotation' | 'keys'>

/** In `ways`, ends have carried out at most version 14; in the inputs, version 20 or, unaware, 1. */
function step({ rotation, keys }: Way, ends: Ends, abort?: string, now = NOW): Way {
  const after = stepRotation({ rotation, keys, ends, now }, abort)
  return { rotation: after.rotation, keys: after.keys }
}

function ways(): Record<string, Way> {
  const at = (version: number, said: Record<number, string>): Ends =>
    both(true, said).map((one) => ({ ...one!, documentVersion: version, carriedOut: version })) as unknown as Ends
  const offer = beginRotation({ rotation: queued, keys: established, ends: at(10, { [OLD]: 'kauc' }), now: NOW })
  const accept = step(offer, at(11, { [OLD]: 'kauc', [NEW]: 'k' }))
  const switching = step(accept, at(12, { [OLD]: 'kauc', [NEW]: 'ka' }))
  const confirming = step(switching, at(13, { [OLD]: 'ka', [NEW]: 'kau' }))
  const retiring = step(confirming, at(13, { [OLD]: 'ka', [NEW]: 'kauc' }))
  const done = step(retiring, at(14, { [NEW]: 'kauc' }))
  const back = step(switching, at(13, { [OLD]: 'ka', [NEW]: 'kau' }), 'enough')
  const withdrawn = step(accept, at(12, { [OLD]: 'kauc', [NEW]: 'ka' }), 'enough')
  const aborted = step(withdrawn, at(13, { [OLD]: 'kauc' }))
  return {
    queued: { rotation: queued, keys: established },
    offer,
    accept,
    switching,
    confirming,
    retiring,
    back,
    withdrawn,
    done,
    aborted,
  }
}

/** A state in one word: `preparing` and `aborting` have two each. */
function word({ rotation, keys }: Way): string {
  if (rotation.state === 'preparing') return keys.nextPhase!
  if (rotation.state === 'aborting') return keys.nextPhase === 'accept' ? 'back' : 'withdrawn'
  return rotation.state
}

const quiet = both(false, { [OLD]: 'kauc' })
const INPUTS: Record<string, (way: Way) => Way> = {
  'nothing new': (way) => step(way, quiet),
  'one half': (way) => step(way, [end(A, true, { [OLD]: 'kauc', [NEW]: 'k' }), quiet[1]]),
  'both halves': (way) => step(way, both(true, { [OLD]: 'kauc', [NEW]: 'k' })),
  'one accepts': (way) =>
    step(way, [end(A, true, { [OLD]: 'kauc', [NEW]: 'ka' }), end(B, true, { [OLD]: 'kauc', [NEW]: 'k' })]),
  'both accept': (way) => step(way, both(true, { [OLD]: 'kauc', [NEW]: 'ka' })),
  'both accept, unaware': (way) => step(way, both(false, { [OLD]: 'kauc', [NEW]: 'ka' })),
  'different keys': (way) =>
    step(way, [
      end(A, true, { [OLD]: 'kauc', [NEW]: 'ka' }),
      {
        ...end(B, true, { [OLD]: 'kauc', [NEW]: 'ka*' }),
        epochs: [status(OLD, B, 'kauc'), { ...status(NEW, B, 'ka*'), key: `${B}.5.0` }],
      },
    ]),
  'other half': (way) =>
    step(way, [end(A, true, { [OLD]: 'kauc', [NEW]: 'k*' }), end(B, true, { [OLD]: 'kauc', [NEW]: 'ka' })]),
  'one uses': (way) =>
    step(way, [end(A, true, { [OLD]: 'ka', [NEW]: 'kau' }), end(B, true, { [OLD]: 'ka', [NEW]: 'ka' })]),
  'both use': (way) => step(way, both(true, { [OLD]: 'ka', [NEW]: 'kau' })),
  'one confirmed': (way) =>
    step(way, [end(A, true, { [OLD]: 'ka', [NEW]: 'kauc' }), end(B, true, { [OLD]: 'ka', [NEW]: 'kau' })]),
  'both confirmed': (way) => step(way, both(true, { [OLD]: 'ka', [NEW]: 'kauc' })),
  'one forgot old': (way) => step(way, [end(A, true, { [NEW]: 'kauc' }), end(B, true, { [OLD]: 'ka', [NEW]: 'kauc' })]),
  'both forgot old': (way) => step(way, both(true, { [NEW]: 'kauc' })),
  'both forgot old, unaware': (way) => step(way, both(false, { [NEW]: 'kauc' })),
  'one forgot new': (way) => step(way, [end(A, true, { [OLD]: 'kauc' }), end(B, true, { [OLD]: 'kauc', [NEW]: 'ka' })]),
  'both forgot new': (way) => step(way, both(true, { [OLD]: 'kauc' })),
  late: (way) => step(way, quiet, undefined, NOW + ROTATION_DEADLINES.preparing),
  'nearly late': (way) => step(way, quiet, undefined, NOW + ROTATION_DEADLINES.preparing - 1),
  abort: (way) => step(way, quiet, 'enough'),
  revoked: (way) => step(way, [quiet[0], undefined]),
  replaced: (way) => step(way, [quiet[0], end('con_0000000000000000000c', true, {})]),
  'store is older': (way) => step(way, [end(A, true, { 9: 'kauc' }), quiet[1]]),
}
/** What each input makes of each state. Ends cannot say some of this truthfully; nothing they say does harm. */
const TABLE = `
                          queued     offer      accept     switching  confirming retiring   back       withdrawn  done       aborted
nothing new               queued     offer      accept     switching  confirming retiring   back       withdrawn  done       aborted
one half                  queued     offer      accept     switching  confirming aborted    back       withdrawn  done       aborted
both halves               queued     accept     accept     switching  confirming aborted    withdrawn  withdrawn  done       aborted
one accepts               queued     accept     accept     switching  confirming aborted    withdrawn  withdrawn  done       aborted
both accept               queued     switching  switching  switching  confirming retiring   withdrawn  withdrawn  done       aborted
both accept, unaware      queued     switching  switching  switching  confirming retiring   back       withdrawn  done       aborted
different keys            queued     withdrawn  withdrawn  switching  confirming retiring   withdrawn  withdrawn  done       aborted
other half                queued     accept     withdrawn  back       back       aborted    withdrawn  withdrawn  done       aborted
one uses                  queued     switching  switching  switching  confirming retiring   back       withdrawn  done       aborted
both use                  queued     switching  switching  confirming confirming retiring   back       withdrawn  done       aborted
one confirmed             queued     switching  switching  confirming confirming retiring   back       withdrawn  done       aborted
both confirmed            queued     switching  switching  retiring   retiring   retiring   back       withdrawn  done       aborted
one forgot old            queued     switching  switching  retiring   retiring   retiring   switching  withdrawn  done       aborted
both forgot old           queued     switching  switching  retiring   retiring   done       switching  withdrawn  done       aborted
both forgot old, unaware  queued     switching  switching  switching  retiring   retiring   back       withdrawn  done       aborted
one forgot new            queued     offer      accept     switching  confirming aborted    withdrawn  withdrawn  done       aborted
both forgot new           queued     offer      accept     switching  confirming aborted    withdrawn  aborted    done       aborted
late                      queued     withdrawn  withdrawn  back       back       retiring   back       withdrawn  done       aborted
nearly late               queued     offer      accept     switching  confirming retiring   back       withdrawn  done       aborted
abort                     aborted    withdrawn  withdrawn  back       back       retiring   back       withdrawn  done       aborted
revoked                   queued     aborted    aborted    aborted    aborted    done       aborted    aborted    done       aborted
replaced                  queued     aborted    aborted    aborted    aborted    done       aborted    aborted    done       aborted
store is older            queued     aborted    aborted    aborted    aborted    aborted    aborted    aborted    done       aborted
`

describe('the machine', () => {
  test('every input in every state', () => {
    const all = ways()
    for (const [name, way] of Object.entries(all)) expect([name, word(way)]).toEqual([name, name])
    const row = (name: string, words: readonly string[]) =>
      `${name.padEnd(26)}${words.map((text) => text.padEnd(11)).join('')}`.trimEnd()
    const rows = Object.entries(INPUTS).map(([name, input]) =>
      row(
        name,
        Object.values(all).map((way) => word(input(way))),
      ),
    )
    expect(['', row('', Object.keys(all)), ...rows, ''].join('\n')).toBe(TABLE)
  })

  test('every state is among them, and none of its results is outside the schema', () => {
    const all = ways()
    expect(new Set(Object.values(all).map(({ rotation }) => rotation.state))).toEqual(new Set(ROTATION_STATES))
    const results = Object.values(INPUTS).flatMap((input) => Object.values(all).map((way) => input(way).rotation))
    for (const rotation of results) expect(rotationSchema.safeParse(rotation).error).toBeUndefined()
  })

  test('the same again changes nothing, also after a reload', () => {
    const ends = fc.constantFrom('', 'k', 'ka', 'kau', 'kauc', undefined)
    const said = fc.record({ knows: fc.boolean(), old: ends, fresh: ends })
    const view = (
      connector: string,
      { knows, old, fresh }: { knows: boolean; old?: string | undefined; fresh?: string | undefined },
    ) =>
      end(connector, knows, {
        ...(old === undefined ? {} : { [OLD]: old }),
        ...(fresh === undefined ? {} : { [NEW]: fresh }),
      })
    fc.assert(
      fc.property(fc.constantFrom(...Object.keys(ways())), said, said, fc.boolean(), (name, left, right, late) => {
        const way = ways()[name]!
        const now = late ? NOW + 3_600_000 : NOW
        const situation = { ...way, ends: [view(A, left), view(B, right)] as Ends, now }
        const once = stepRotation(situation)
        const reloaded = JSON.parse(JSON.stringify(once)) as typeof once
        const twice = stepRotation({ ...situation, ...reloaded })
        expect(twice.changed).toBe(false)
        expect({ rotation: twice.rotation, keys: twice.keys }).toEqual({ rotation: once.rotation, keys: once.keys })
        // Whoever is told something else gets a document, and nobody else.
        const told = JSON.stringify(shownEpochs(once.keys)) !== JSON.stringify(shownEpochs(way.keys))
        if (told) expect(once.documents).toBe(true)
        if (!once.changed) expect(once.documents).toBe(false)
      }),
      { numRuns: 500 },
    )
  })

  test('done: the new key is the current one, the old halves are gone, nothing of the rotation is left', () => {
    const { done } = ways()
    const { changedAfter: _, ...keys } = done!.keys
    expect(keys).toEqual({
      ...established,
      current: NEW,
      currentSince: NOW,
      highest: NEW,
      halves: { [halfName(NEW, A)]: `${A}.5.0`, [halfName(NEW, B)]: `${B}.5.0` },
    })
    expect(done!.rotation).toMatchObject({ from: OLD, to: NEW, finishedAt: NOW, newFingerprint: '0000000000000005' })
    expect(done!.rotation.deadline).toBeUndefined()
  })

  test('aborted: the old key is what it was, and the epoch is used up', () => {
    const { aborted } = ways()
    const { changedAfter: _, ...keys } = aborted!.keys
    expect(keys).toEqual({ ...established, highest: NEW })
    expect(aborted!.rotation.reason).toBe('enough')
    const request = { id: 'rot_2', tunnel: established.id, trigger: 'manual', startedBy: 'schedule', now: NOW } as const
    expect(queuedRotation(request, aborted!.keys).to).toBe(NEW + 1)
  })

  test('an end that uses the new key by the choice of the other, and has not heard yet, keeps the old one alive', () => {
    const { switching } = ways()
    const unheard = end(B, false, { [OLD]: 'ka', [NEW]: 'kauc' })
    const heard = end(A, true, { [OLD]: 'ka', [NEW]: 'kauc' })
    expect(word(step(switching!, [heard, unheard]))).toBe('switching')
    expect(word(step(switching!, [heard, end(B, true, { [OLD]: 'ka', [NEW]: 'kauc' })]))).toBe('retiring')
  })

  test('where an end has lost the old key, giving up turns into going on; where it has lost both, into a new first key', () => {
    const { back } = ways()
    const whole = end(A, true, { [OLD]: 'ka', [NEW]: 'kau' })
    const forward = stepRotation({ ...back!, ends: [whole, end(B, true, { [OLD]: 'ka*', [NEW]: 'kau' })], now: NOW })
    expect(forward).toMatchObject({ rotation: { state: 'switching' }, keys: { nextPhase: 'use' }, documents: true })
    expect(forward.rotation.deadline).toBeUndefined()
    expect(forward.rotation.reason).toBeUndefined()
    const neither: Ends = [whole, end(B, true, { [OLD]: 'ka*', [NEW]: 'ka*' })]
    const withdrawn = step(back!, neither)
    expect(word(withdrawn)).toBe('withdrawn')
    const gone: Ends = [end(A, true, { [OLD]: 'ka' }), end(B, true, { [OLD]: 'ka*' })]
    const aborted = step(withdrawn, gone.map((one) => ({ ...one!, carriedOut: 21 })) as unknown as Ends)
    expect(word(aborted)).toBe('aborted')
    expect(needsKey(aborted.keys, gone)).toBe('lost')
  })

  test('lateness says who was waited for', () => {
    const { accept } = ways()
    const ends: Ends = [end(A, true, { [OLD]: 'kauc', [NEW]: 'ka' }), quiet[1]]
    const late = stepRotation({ ...accept!, ends, now: NOW + 700_000 })
    expect(late.rotation.reason).toBe(`preparing for 700 s, waiting for ${B} to accept epoch 5`)
  })

  test('it tells whom it waits for in every state that is not an end', () => {
    const words = Object.entries(ways()).map(([name, way]) => [name, waitingFor({ ...way, ends: quiet })])
    const all = `${A} and ${B}`
    expect(Object.fromEntries(words)).toEqual({
      queued: 'its turn',
      offer: `${all} to publish its half of epoch 5`,
      accept: `${all} to accept epoch 5`,
      switching: `${all} to use epoch 5`,
      confirming: `${all} to receive traffic under epoch 5`,
      retiring: `${all} to forget epoch 4`,
      back: `${all} to leave epoch 5`,
      withdrawn: `${all} to forget epoch 5`,
      done: undefined,
      aborted: undefined,
    })
  })

  test('people abort what is queued or under way, not what has ended or cannot go back', () => {
    const codes = Object.entries(ways()).map(([name, { rotation }]) => [name, abortRefusal(rotation)?.code])
    expect(Object.fromEntries(codes)).toMatchObject({
      queued: undefined,
      offer: undefined,
      confirming: undefined,
      retiring: 'rotation-retiring',
      done: 'rotation-finished',
      aborted: 'rotation-finished',
    })
    expect(abortRefusal({ state: 'preparing', trigger: 'establish' })?.code).toBe('rotation-establishing')
  })
})

describe('beginning', () => {
  const begin = (changes: Partial<RotationSituation>) =>
    beginRotation({ rotation: queued, keys: established, ends: settled, now: NOW, ...changes })

  test('takes an epoch that was never used, and remembers the old fingerprint', () => {
    const begun = begin({ keys: { ...established, highest: 7 } })
    expect(begun.rotation).toMatchObject({
      state: 'preparing',
      from: OLD,
      to: 8,
      begunAt: NOW,
      oldFingerprint: '0000000000000004',
    })
    expect(begun.keys).toMatchObject({ current: OLD, next: 8, nextPhase: 'offer', highest: 8, rotation: queued.id })
    expect(begun.documents).toBe(true)
  })

  test('waits while another one is under way', () => {
    expect(begin({ keys: { ...established, rotation: 'rot_x' } }).changed).toBe(false)
  })

  test('what cannot begin ends at once, and says why', () => {
    const reason = (changes: Partial<RotationSituation>) => {
      const { rotation, documents } = begin(changes)
      expect(isEnded(rotation.state)).toBe(true)
      return [rotation.reason, documents]
    }
    const establish: Rotation = { ...queued, trigger: 'establish' }
    expect(reason({ ends: [settled[0], undefined] })).toEqual(['a site has no connector', true])
    expect(reason({ keys: { id: established.id, current: 0, highest: OLD, halves: {} } })).toEqual([
      'the tunnel has no key yet',
      false,
    ])
    expect(reason({ keys: { ...established, highest: 0xffff_ffff } })[0]).toContain('no epochs left')
    expect(reason({ rotation: establish })).toEqual(['the tunnel has a key', false])
  })

  test('a first key where an end has lost the old one gives that up, and has no deadline', () => {
    const ends: Ends = [settled[0], end(B, true, { [OLD]: 'k' })]
    const begun = begin({ rotation: { ...queued, trigger: 'establish' }, ends })
    expect(begun.rotation).toMatchObject({ state: 'preparing', to: NEW })
    expect(begun.rotation.from).toBeUndefined()
    expect(begun.rotation.deadline).toBeUndefined()
    expect(shownEpochs(begun.keys)).toEqual([{ epoch: NEW, phase: 'offer' }])
  })
})

describe('keys in view of their ends', () => {
  const ahead = (left: Record<number, string>) => settleKeys(established, [end(A, true, left), settled[1]], NOW)

  test('an end that uses, or has nothing but, an epoch that was never begun here: the store is an older copy', () => {
    expect(ahead({ 9: 'kauc' })).toMatchObject({ event: 'restored', keys: { current: 9, highest: 9 } })
    expect(ahead({ [OLD]: 'ka', 9: 'kau' })).toMatchObject({ event: 'restored', keys: { current: 9 } })
    expect(ahead({ 9: 'ka' })).toMatchObject({ event: 'restored', keys: { current: 9 } })
  })

  test('one that merely knows such an epoch: it is skipped', () => {
    const { event, keys } = ahead({ [OLD]: 'kauc', 9: 'ka' })
    expect(event).toBeUndefined()
    expect(keys).toEqual({ ...established, highest: 9 })
  })

  test('what an end still says of epochs with somebody else is not taken over', () => {
    const other = settleKeys(established, [settled[0], end('con_c', true, {})], NOW)
    expect(other).toMatchObject({ event: 'ends-changed', keys: { current: 0, highest: OLD } })
    expect(settleKeys(other.keys, [settled[0], end('con_c', true, {})], NOW).event).toBeUndefined()
  })

  test('a new first key is needed where there is none or one is lost, not where somebody is away or behind', () => {
    expect(needsKey(established, settled)).toBeUndefined()
    expect(needsKey({ ...established, current: 0 }, settled)).toBe('none')
    expect(needsKey({ ...established, current: 0 }, [settled[0], undefined])).toBeUndefined()
    expect(needsKey({ ...established, current: 0, rotation: 'rot_x' }, settled)).toBeUndefined()
    const lost = end(B, true, { [OLD]: 'k' })
    expect(needsKey(established, [settled[0], lost])).toBe('lost')
    expect(needsKey({ ...established, changedAfter: { [B]: 20 } }, [settled[0], lost])).toBeUndefined()
    expect(needsKey(established, [settled[0], { ...lost, carriedOut: 0 }])).toBeUndefined()
  })

  test('a review without a rotation settles the keys, and says when a first one is to be made', () => {
    const situation = { rotation: undefined, keys: established, now: NOW }
    expect(reviewTunnel({ ...situation, ends: settled })).toMatchObject({
      changed: false,
      documents: false,
      establish: undefined,
    })
    const replaced = reviewTunnel({ ...situation, ends: [settled[0], end('con_c', true, {})] })
    expect(replaced).toMatchObject({ changed: true, documents: true, establish: 'none', keys: { current: 0 } })
    const restored = reviewTunnel({ ...situation, ends: [end(A, true, { 9: 'kauc' }), settled[1]] })
    expect(restored).toMatchObject({ changed: true, documents: true, establish: undefined, keys: { current: 9 } })
  })
})
