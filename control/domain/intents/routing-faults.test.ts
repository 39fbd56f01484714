import { describe, expect, test } from 'vitest'
import type { IntentDraft } from '../../../protocol/control/intent.ts'
import { planEdit } from '../intent.ts'
import { Refusal } from '../refusal.ts'
import { draftOf, type NetworkWords, RoutedNetwork } from './testing/routed.ts'

const SITES = { hub: { hub: true }, a: {}, b: {} }
const TUNNELS = ['hub-a', 'hub-b']

function refused(run: () => unknown): Refusal {
  try {
    run()
  } catch (error) {
    if (error instanceof Refusal) return error
    throw error
  }
  throw new Error('it was not refused')
}

function refusalOf(draft: IntentDraft): Refusal {
  return refused(() => new RoutedNetwork().plan(draft))
}

/** Faults of a star with these words for its sites. */
function faults(sites: NetworkWords['sites'], tunnels: NetworkWords['tunnels'] = TUNNELS): [string, string][] {
  const draft = draftOf({ sites: { ...SITES, ...sites }, tunnels })
  return (refusalOf(draft).errors ?? []).map(({ pointer, detail }) => [pointer, detail])
}

const TABLE: readonly [string, NetworkWords['sites'], string, string][] = [
  [
    'overlapping ownership',
    { b: { owns: ['10.2.0.0/15'] } },
    '/routing/sites/2/owns/0',
    '10.2.0.0/15 of b overlaps 10.2.0.0/16, which a owns',
  ],
  [
    'a prefix within what another one owns',
    { a: { owns: ['10.64.0.0/10'] }, b: { prefixes: ['10.66.0.0/16'] } },
    '/sites/2/prefixes/0',
    '10.66.0.0/16 of b overlaps 10.64.0.0/10, which a owns',
  ],
  [
    'the same default route',
    { a: { owns: ['0.0.0.0/0'] }, b: { owns: ['0.0.0.0/0'] } },
    '/routing/sites/2/owns/0',
    '0.0.0.0/0 of b overlaps 0.0.0.0/0, which a owns',
  ],
  [
    'what nobody may announce',
    { a: { owns: ['169.254.0.0/17'] } },
    '/routing/sites/1/owns/0',
    "169.254.0.0/17 is nobody's to announce",
  ],
  [
    'advertising what is not owned',
    { a: { advertises: [{ prefixes: ['10.2.9.0/24', '10.3.0.0/24'] }] } },
    '/routing/sites/1/advertises/0/prefixes/1',
    '10.3.0.0/24 is not within what a owns: 10.2.0.0/16',
  ],
  [
    'more than is owned',
    { a: { advertises: [{ prefixes: ['10.2.0.0/15'] }] } },
    '/routing/sites/1/advertises/0/prefixes/0',
    '10.2.0.0/15 is not within what a owns: 10.2.0.0/16',
  ],
  [
    'a default route that is not owned',
    { a: { advertises: [{ prefixes: ['0.0.0.0/0'] }] } },
    '/routing/sites/1/advertises/0/prefixes/0',
    '0.0.0.0/0 is not within what a owns: 10.2.0.0/16',
  ],
  [
    'twice the same prefix',
    { a: { advertises: [{ prefixes: ['10.2.0.0/16'] }, { prefixes: ['10.2.0.0/16'], to: ['b'] }] } },
    '/routing/sites/1/advertises/1/prefixes/0',
    '10.2.0.0/16 is advertised twice',
  ],
  [
    'an unknown receiver',
    { a: { advertises: [{ prefixes: ['10.2.0.0/16'], to: ['b', 'c'] }] } },
    '/routing/sites/1/advertises/0/to/1',
    'there is no site c',
  ],
  ['an unknown hub', { a: { through: ['c'] } }, '/routing/sites/1/through/0', 'there is no site c'],
  ['a hub that is none', { a: { through: ['b'] } }, '/routing/sites/1/through/0', 'b is not a hub'],
  ['itself as hub', { a: { through: ['a'] } }, '/routing/sites/1/through/0', 'a is not a hub'],
  ['the same hub twice', { a: { through: ['hub', 'hub'] } }, '/routing/sites/1/through/1', 'hub is named twice'],
  ['a hub without tunnels', { c: { hub: true } }, '/routing/sites/3/hub', 'c is a hub without tunnels'],
  [
    'an order of hubs at a hub',
    { hub: { hub: true, through: ['hub'] } },
    '/routing/sites/0/through',
    'a hub has no order of hubs: say backup of a tunnel instead',
  ],
]

describe('each fault has its place and its words', () => {
  test.each(TABLE)('%s', (_, sites, pointer, detail) => {
    expect(faults(sites)).toContainEqual([pointer, detail])
  })

  test('a hub without a tunnel to whom prefers it', () => {
    expect(faults({ a: { through: ['hub'] } }, ['hub-b'])).toEqual([
      ['/routing/sites/1/through/0', 'a has no tunnel with hub'],
    ])
  })

  test('all at once', () => {
    const many = faults({
      a: { owns: ['224.0.0.0/4'], advertises: [{ prefixes: ['10.9.0.0/16'], to: ['x'] }], through: ['b'] },
      b: { owns: ['10.2.0.0/24'] },
    })
    expect(many.map(([pointer]) => pointer).sort()).toEqual([
      '/routing/sites/1/advertises/0/prefixes/0',
      '/routing/sites/1/advertises/0/to/0',
      '/routing/sites/1/owns/0',
      '/routing/sites/1/through/0',
      '/routing/sites/2/owns/0',
    ])
  })

  test('unknown sites and tunnels, and entries for the same one', () => {
    const draft = draftOf({ sites: SITES, tunnels: TUNNELS })
    draft.routing!.sites.push({ site: 'nobody' }, { site: 'a', hub: false })
    draft.routing!.tunnels.push({ tunnel: 'hub-c' }, { tunnel: 'hub-a' })
    expect((refusalOf(draft).errors ?? []).map(({ pointer, detail }) => [pointer, detail])).toEqual([
      ['/routing/sites/3/site', 'there is no site nobody'],
      ['/routing/sites/4/site', 'a has an entry already'],
      ['/routing/tunnels/2/tunnel', 'there is no tunnel hub-c'],
      ['/routing/tunnels/3/tunnel', 'hub-a has an entry already'],
    ])
  })

  test('more tunnels than there are addresses inside', () => {
    // 127 sites, all with all: 8,001 tunnels fit, 181 sites with 16,290 do not.
    const mesh = (count: number): NetworkWords => {
      const names = Array.from({ length: count }, (_, i) => `s${i}`)
      const sites = Object.fromEntries(names.map((name, i) => [name, { prefixes: [`10.${i}.0.0/16`] }]))
      return { sites, tunnels: names.flatMap((one, i) => names.slice(i + 1).map((other) => `${one}-${other}`)) }
    }
    const refusal = refusalOf(draftOf(mesh(181)))
    expect([refusal.code, refusal.detail]).toEqual([
      'limit-reached',
      'routing has addresses for 16128 tunnels, and these are 16290',
    ])
    expect(new RoutedNetwork(mesh(127)).index.tunnelCount).toBe(8_001)
  })
})

describe('an edit of one thing', () => {
  const network = () => new RoutedNetwork({ sites: { ...SITES, a: { owns: ['10.64.0.0/10'] } }, tunnels: TUNNELS })
  const facts = { hasConnector: () => false, makeId: (kind: string) => `${kind === 'site' ? 'site' : 'tun'}_new` }

  test('gives a new site its number, and no other changes', () => {
    const { index } = network()
    const plan = planEdit(index, { type: 'add-site', site: { name: 'c', prefixes: ['10.9.0.0/16'] } }, facts)!
    expect(plan.routing).toEqual({ put: [{ id: 'site_new', site: { site: 'site_new', number: 3 } }], removed: [] })
  })

  test('is refused where it runs into what somebody owns', () => {
    const { index } = network()
    const site = { name: 'c', prefixes: ['10.65.0.0/16'] }
    expect(refused(() => planEdit(index, { type: 'add-site', site }, facts)).errors).toEqual([
      { pointer: '', detail: 'routing: 10.65.0.0/16 of c overlaps 10.64.0.0/10, which a owns' },
    ])
  })

  test('takes the entry of a tunnel along, and a site that others name stays', () => {
    const named = { ...SITES, a: { advertises: [{ prefixes: ['10.2.0.0/16'], to: ['b'] }] } }
    const { index } = new RoutedNetwork({ sites: named, tunnels: TUNNELS })
    const [tunnel, site] = [index.tunnelByName('hub-b')!.id, index.siteByName('b')!.id]
    const plan = planEdit(index, { type: 'remove-tunnel', id: tunnel }, facts)!
    expect(plan.routing).toEqual({ put: [], removed: [tunnel] })
    index.apply(plan)
    expect(refused(() => planEdit(index, { type: 'remove-site', id: site }, facts)).errors).toEqual([
      { pointer: '', detail: `routing: there is no site ${site}` },
    ])
  })
})
