import { describe, expect, test } from 'vitest'
import type { Intent, IntentDraft, Preferences } from '../../protocol/control/intent.ts'
import { type IntentEdit, planEdit, sitesRemovedBy } from './intent.ts'
import { affectedSites, IntentIndex } from './intent-index.ts'
import { Refusal } from './refusal.ts'

const NONE: Preferences = { topology: 'none' }
const MESH: Preferences = { topology: 'mesh' }

/** An intent under edit, with identifiers that count up. */
class Bench {
  readonly index: IntentIndex
  readonly connected = new Set<string>()
  #ids = 0

  constructor(preferences: Preferences = NONE, intent: Partial<Intent> = {}) {
    this.index = new IntentIndex({ version: 0, sites: [], tunnels: [], preferences, ...intent })
  }

  plan(edit: IntentEdit) {
    return planEdit(this.index, edit, {
      hasConnector: (site) => this.connected.has(site),
      makeId: (kind) => `${kind === 'site' ? 'site' : 'tun'}_${String(this.#ids++).padStart(20, '0')}`,
    })
  }

  /** Plans and takes over. */
  do(edit: IntentEdit) {
    const plan = this.plan(edit)
    if (plan !== undefined) this.index.apply(plan)
    return plan
  }

  site(name: string, ...prefixes: string[]): string {
    return this.do({ type: 'add-site', site: { name, prefixes } })!.sites[0]!.id
  }

  tunnel(name: string, left: string, right: string): string {
    return this.do({ type: 'add-tunnel', tunnel: { name, sites: [left, right] } })!.tunnels[0]!.id
  }

  names(): string[] {
    return Array.from(this.index.tunnels(), ({ name }) => name).sort()
  }

  refusal(edit: IntentEdit): Refusal {
    try {
      this.plan(edit)
    } catch (error) {
      if (error instanceof Refusal) return error
      throw error
    }
    throw new Error('it was not refused')
  }

  faults(edit: IntentEdit): [string, string][] {
    return (this.refusal(edit).errors ?? []).map(({ pointer, detail }) => [pointer, detail])
  }
}

/** Two sites without a tunnel. */
function two(preferences?: Preferences) {
  const bench = new Bench(preferences)
  return { bench, hq: bench.site('hq', '10.1.0.0/16'), branch: bench.site('branch', '10.2.0.0/16') }
}

describe('sites', () => {
  test('come, change and go, each time a version further', () => {
    const { bench, hq } = two()
    expect(bench.index.version).toBe(2)
    const site = {
      name: 'main',
      prefixes: ['10.1.0.0/16', 'fd00:1::/32'],
      endpoint: { address: '192.0.2.1', port: 500, natPort: 4500 },
    }
    expect(bench.do({ type: 'change-site', id: hq, site })).toMatchObject({ version: 3, sites: [{ id: hq, ...site }] })
    expect(bench.index.siteByName('hq')).toBeUndefined()
    expect(bench.index.siteByName('main')?.id).toBe(hq)
    expect(bench.do({ type: 'remove-site', id: hq })).toMatchObject({ version: 4, removedSites: [hq] })
    bench.site('hq', '10.1.0.0/16')
    expect(bench.index.siteCount).toBe(2)
  })

  test('a change to what is there already is none', () => {
    const { bench, hq } = two()
    expect(bench.plan({ type: 'change-site', id: hq, site: { prefixes: ['10.1.0.0/16'], name: 'hq' } })).toBeUndefined()
  })

  test('every fault is told at once, each at its place', () => {
    const { bench } = two()
    const prefixes = ['10.3.0.0/16', '10.3.4.0/24', '10.1.2.0/24', '10.4.5.6/16', 'nonsense', 'fd00::/16']
    expect(bench.faults({ type: 'add-site', site: { name: 'hq', prefixes } })).toEqual([
      ['/name', 'another site has the name hq'],
      ['/prefixes/3', '10.4.5.6/16: host bits are set: the network is 10.4.0.0/16'],
      ['/prefixes/4', 'nonsense: not a network prefix, like 10.1.0.0/16'],
      ['/prefixes/1', '10.3.4.0/24 overlaps 10.3.0.0/16 of the same site'],
      ['/prefixes/2', '10.1.2.0/24 overlaps 10.1.0.0/16 of hq'],
    ])
  })

  test('a single kind of fault has its own code', () => {
    const { bench } = two()
    const code = (name: string, prefix: string) =>
      bench.refusal({ type: 'add-site', site: { name, prefixes: [prefix] } }).code
    expect(code('hq', '10.9.0.0/16')).toBe('duplicate-name')
    expect(code('new', '10.0.0.0/8')).toBe('prefix-overlap')
    expect(code('hq', '10.0.0.0/8')).toBe('invalid-request')
  })

  test('a site may overlap what it had itself, and take what another gave up', () => {
    const { bench, hq, branch } = two()
    bench.do({ type: 'change-site', id: hq, site: { name: 'hq', prefixes: ['10.1.0.0/17'] } })
    bench.do({ type: 'change-site', id: branch, site: { name: 'branch', prefixes: ['10.1.128.0/17'] } })
    expect(bench.index.overlapping('10.1.0.0/16', hq)).toEqual({ prefix: '10.1.128.0/17', site: branch })
    expect(bench.index.overlapping('10.2.0.0/16')).toBeUndefined()
  })

  test('one that is an end of a tunnel, or has a connector, is not removed', () => {
    const { bench, hq, branch } = two()
    const tunnel = bench.tunnel('wan', hq, branch)
    const refusal = bench.refusal({ type: 'remove-site', id: hq })
    expect(refusal).toMatchObject({ code: 'site-in-use', status: 409, detail: 'hq is an end of wan' })
    expect(refusal.remedy).toContain('Remove its tunnels')
    bench.do({ type: 'remove-tunnel', id: tunnel })
    bench.connected.add(hq)
    expect(bench.refusal({ type: 'remove-site', id: hq }).detail).toBe('hq has a connector')
    bench.connected.clear()
    expect(bench.do({ type: 'remove-site', id: hq })?.removedSites).toEqual([hq])
  })

  test('what is not there is not found', () => {
    const { bench } = two()
    const site = { name: 'x', prefixes: ['10.9.0.0/16'] }
    expect(bench.refusal({ type: 'change-site', id: 'site_x', site }).code).toBe('not-found')
    expect(bench.refusal({ type: 'remove-site', id: 'site_x' }).code).toBe('not-found')
    expect(bench.refusal({ type: 'remove-tunnel', id: 'tun_x' }).code).toBe('not-found')
  })
})

describe('tunnels', () => {
  test('every fault is told at once', () => {
    const { bench, hq, branch } = two()
    bench.tunnel('wan', hq, branch)
    expect(bench.faults({ type: 'add-tunnel', tunnel: { name: 'wan', sites: [branch, hq] } })).toEqual([
      ['/name', 'another tunnel has the name wan'],
      ['/sites', 'there is a tunnel between these sites: wan'],
    ])
    expect(bench.faults({ type: 'add-tunnel', tunnel: { name: 'b', sites: ['site_x', 'site_x'] } })).toEqual([
      ['/sites/0', 'there is no site site_x'],
      ['/sites/1', 'there is no site site_x'],
      ['/sites/1', 'a tunnel has two different ends'],
    ])
  })

  test('the ends may change places, and nothing else about them', () => {
    const { bench, hq, branch } = two()
    const lab = bench.site('lab', '10.3.0.0/16')
    const id = bench.tunnel('wan', hq, branch)
    const edit = (sites: [string, string]): IntentEdit => ({
      type: 'change-tunnel',
      id,
      tunnel: { name: 'wan', sites },
    })
    expect(bench.plan(edit([hq, branch]))).toBeUndefined()
    expect(bench.plan(edit([branch, hq]))?.tunnels[0]?.sites).toEqual([branch, hq])
    expect(bench.faults(edit([hq, lab]))[0]?.[0]).toBe('/sites')
  })
})

describe('mesh', () => {
  test('a new site gets a tunnel to every other one', () => {
    const { bench } = two(MESH)
    bench.site('lab', '10.3.0.0/16')
    expect(bench.names()).toEqual(['branch-lab', 'hq-branch', 'hq-lab'])
  })

  test('names that are taken or too long give way to others', () => {
    const bench = new Bench(MESH)
    bench.site('a-b', '10.1.0.0/16')
    bench.site('a', '10.2.0.0/16')
    bench.site('c', '10.3.0.0/16')
    bench.site('b-c', '10.4.0.0/16')
    bench.site('x'.repeat(63), '10.5.0.0/16')
    const names = bench.names()
    expect(names).toHaveLength(10)
    expect(new Set(names).size).toBe(10)
    expect(names.every((name) => /^[a-z0-9](?:[a-z0-9.-]{0,61}[a-z0-9])?$/.test(name))).toBe(true)
  })

  test('beyond fifty sites it is refused, with the way out', () => {
    const bench = new Bench(NONE)
    for (let i = 0; i < 50; i++) bench.site(`s${i}`, `10.${i}.0.0/16`)
    bench.do({ type: 'preferences', preferences: MESH })
    const refusal = bench.refusal({ type: 'add-site', site: { name: 'more', prefixes: ['10.99.0.0/16'] } })
    expect(refusal.code).toBe('mesh-too-large')
    expect(refusal.remedy).toContain('topology to none')
    bench.do({ type: 'preferences', preferences: NONE })
    bench.site('more', '10.99.0.0/16')
    expect(bench.refusal({ type: 'preferences', preferences: MESH }).code).toBe('mesh-too-large')
  })
})

describe('replacing the whole', () => {
  const replace = (intent: Partial<IntentDraft>): IntentEdit => ({
    type: 'replace',
    intent: { preferences: NONE, sites: [], tunnels: [], ...intent },
  })
  const read = (index: IntentIndex): IntentDraft => ({
    version: index.version,
    preferences: index.preferences,
    sites: [...index.sites()],
    tunnels: [...index.tunnels()],
  })

  test('what was read changes nothing', () => {
    const { bench, hq, branch } = two()
    bench.tunnel('wan', hq, branch)
    expect(bench.plan({ type: 'replace', intent: read(bench.index) })).toBeUndefined()
  })

  test('matches by name where there is no id, adds what is new, removes what is not listed', () => {
    const { bench, hq, branch } = two()
    bench.tunnel('wan', hq, branch)
    const plan = bench.do(
      replace({
        sites: [
          { name: 'hq', prefixes: ['10.1.0.0/16'] },
          { name: 'lab', prefixes: ['10.2.0.0/16'] },
        ],
        tunnels: [{ name: 'lab-link', sites: ['hq', 'lab'] }],
      }),
    )
    expect(plan?.removedSites).toEqual([branch])
    expect(plan?.removedTunnels).toHaveLength(1)
    expect(plan?.sites.map(({ name }) => name)).toEqual(['lab'])
    expect(bench.index.tunnelByName('lab-link')?.sites).toEqual([hq, bench.index.siteByName('lab')?.id])
    expect(bench.index.overlapping('10.2.0.0/16')?.site).toBe(bench.index.siteByName('lab')?.id)
  })

  test('names may be passed on between entries', () => {
    const { bench, hq, branch } = two()
    const plan = bench.do(
      replace({
        sites: [
          { id: hq, name: 'branch', prefixes: ['10.1.0.0/16'] },
          { id: branch, name: 'old', prefixes: ['10.2.0.0/16'] },
          { name: 'hq', prefixes: ['10.3.0.0/16'] },
        ],
      }),
    )
    expect(plan?.sites).toHaveLength(3)
    expect(bench.index.siteByName('branch')?.id).toBe(hq)
    expect(bench.index.siteByName('old')?.id).toBe(branch)
    expect([hq, branch]).not.toContain(bench.index.siteByName('hq')?.id)
  })

  test('every fault is told at once, by pointers', () => {
    const { bench, hq } = two()
    const faults = bench.faults(
      replace({
        sites: [
          { id: hq, name: 'hq', prefixes: ['10.1.0.0/16'] },
          { name: 'lab', prefixes: ['10.1.5.0/24', '10.7.1.1/16'] },
          { name: 'hq', prefixes: ['10.8.0.0/16'] },
          { id: 'site_x', name: 'ghost', prefixes: ['10.1.9.0/24'] },
        ],
        tunnels: [
          { name: 'a', sites: ['hq', 'nowhere'] },
          { name: 'b', sites: ['hq', hq] },
          { name: 'c', sites: ['hq', 'ghost'] },
          { name: 'c', sites: ['ghost', 'lab'] },
          { name: 'd', sites: ['ghost', 'hq'] },
        ],
      }),
    )
    expect(faults.map(([at]) => at)).toEqual([
      '/sites/1/prefixes/1',
      '/sites/2/name',
      '/sites/3/id',
      '/sites/3/prefixes/0',
      '/tunnels/0/sites/1',
      '/tunnels/1/sites/1',
      '/tunnels/3/name',
      '/tunnels/4/sites',
    ])
  })

  test('an older version is stale', () => {
    const { bench } = two()
    expect(bench.refusal(replace({ version: 1 })).code).toBe('stale')
    expect(bench.refusal(replace({ version: 99 })).code).toBe('stale')
  })

  test('a site with a connector does not go by being forgotten', () => {
    const { bench, hq } = two()
    const edit = replace({ sites: [{ name: 'branch', prefixes: ['10.2.0.0/16'] }] })
    expect(sitesRemovedBy(bench.index, edit)).toEqual([hq])
    bench.connected.add(hq)
    expect(bench.refusal(edit)).toMatchObject({ code: 'site-in-use', errors: [{ pointer: '/sites' }] })
  })

  test('in a mesh, new sites get the tunnels that were not listed', () => {
    const { bench } = two(MESH)
    const sites = [
      ...bench.index.sites(),
      { name: 'lab', prefixes: ['10.3.0.0/16'] },
      { name: 'spa', prefixes: ['10.4.0.0/16'] },
    ]
    const tunnels = [...bench.index.tunnels(), { name: 'special', sites: ['lab', 'hq'] as [string, string] }]
    bench.do(replace({ preferences: MESH, sites, tunnels }))
    expect(bench.names()).toEqual(['branch-lab', 'branch-spa', 'hq-branch', 'hq-spa', 'lab-spa', 'special'])
  })
})

describe('who is affected', () => {
  test('a changed site and its neighbours, ends of tunnels that come and go, nobody else', () => {
    const { bench, hq, branch } = two()
    const lab = bench.site('lab', '10.3.0.0/16')
    const wan = bench.tunnel('wan', hq, branch)
    const affected = (edit: IntentEdit) => affectedSites(bench.index, bench.plan(edit)!)
    const site = { name: 'hq', prefixes: ['10.8.0.0/16'] }
    expect(affected({ type: 'change-site', id: hq, site })).toEqual(new Set([hq, branch]))
    expect(affected({ type: 'change-site', id: lab, site: { ...site, name: 'lab' } })).toEqual(new Set([lab]))
    expect(affected({ type: 'remove-tunnel', id: wan })).toEqual(new Set([hq, branch]))
    expect(affected({ type: 'add-tunnel', tunnel: { name: 'x', sites: [hq, lab] } })).toEqual(new Set([hq, lab]))
    expect(affected({ type: 'remove-site', id: lab })).toEqual(new Set([lab]))
  })
})

test('a plan made on another version is not taken over', () => {
  const { bench } = two()
  const plan = bench.plan({ type: 'add-site', site: { name: 'x', prefixes: ['10.3.0.0/16'] } })!
  bench.site('y', '10.4.0.0/16')
  expect(() => bench.index.apply(plan)).toThrow(RangeError)
})

test('ten thousand sites do not make an edit slow', () => {
  const sites = Array.from({ length: 9_999 }, (_, i) => ({
    id: `site_${i}`,
    name: `s${i}`,
    prefixes: Array.from({ length: 4 }, (_, n) => `10.${(i * 4 + n) >> 8}.${(i * 4 + n) & 255}.0/24`),
  }))
  const bench = new Bench(NONE, { sites })
  const started = process.hrtime.bigint()
  const lab = bench.site('lab', '172.16.0.0/12')
  for (let i = 0; i < 200; i++) {
    bench.do({ type: 'change-site', id: lab, site: { name: 'lab', prefixes: [`192.168.${i}.0/24`] } })
    expect(bench.refusal({ type: 'change-site', id: lab, site: { name: 'lab', prefixes: ['10.2.0.0/15'] } }).code).toBe(
      'prefix-overlap',
    )
  }
  // Some microseconds each; looking at every site would take more than a second.
  expect(Number(process.hrtime.bigint() - started) / 1e6).toBeLessThan(1000)
})
