/**
 * `isthmus plan` on 1,000 sites and 50,000 prefixes: what the control plane takes from the body of a request to that of its answer.
 *
 *     node test/bench/plan.ts [--json] [--runs 5]
 *
 * Ten regions with two hubs each, all hubs with tunnels to those of three other regions; each site has tunnels to both
 * hubs of its region in an order of its own, one in twenty a direct one to its neighbour, one in ten tells some of its
 * prefixes only to a few. Worst: one hub for all, and sites that are all different.
 */

import { planEdit } from '../../control/domain/intent.ts'
import { IntentIndex } from '../../control/domain/intent-index.ts'
import { planResult } from '../../control/domain/intents/plan-result.ts'
import { type IntentDraft, intentDraftSchema } from '../../protocol/control/intent.ts'

const SITES = 1_000
const PREFIXES = 50
const REGIONS = 10

interface Measured {
  readonly shape: string
  readonly sites: number
  readonly prefixes: number
  readonly routes: number
  readonly findings: number
  /** Milliseconds: the fastest, the middle and the slowest run. */
  readonly ms: readonly [number, number, number]
}

const SHAPES: Readonly<Record<string, () => unknown>> = { regions, star, mixed }

function regions() {
  const hubs = Array.from({ length: 2 * REGIONS }, (_, i) => `hub${i}`)
  const tunnels: object[] = []
  const link = (one: string, other: string, more: object = {}) =>
    tunnels.push({ name: `${one}-${other}`, sites: [one, other], ...more })
  for (let i = 0; i < REGIONS; i++) {
    link(`hub${2 * i}`, `hub${2 * i + 1}`)
    for (const step of [1, 2, 5]) {
      const far = (i + step) % REGIONS
      if (step === 5 && far < i) continue
      link(`hub${2 * i}`, `hub${2 * far}`)
      link(`hub${2 * i + 1}`, `hub${2 * far + 1}`)
    }
  }
  const leaves = Array.from({ length: SITES - hubs.length }, (_, i) => `site${i}`)
  leaves.forEach((leaf, i) => {
    const region = i % REGIONS
    link(`hub${2 * region}`, leaf)
    link(`hub${2 * region + 1}`, leaf)
    if (i % 20 === 0) link(leaf, leaves[i + 1]!)
  })
  const entries = leaves.map((site, i) => {
    const region = i % REGIONS
    const pair = [`hub${2 * region}`, `hub${2 * region + 1}`]
    return { site, ...owned(i), through: i % 2 === 0 ? pair : pair.toReversed(), advertises: told(i, leaves) }
  })
  return {
    preferences: { topology: 'none' },
    sites: [...hubs, ...leaves].map((name, i) => ({ name, prefixes: [`172.${16 + (i >> 8)}.${i & 255}.0/24`] })),
    tunnels,
    routing: { maxPrefixes: 100_000, sites: [...hubs.map((site) => ({ site, hub: true })), ...entries] },
  }
}

/** One hub. */
function star() {
  const leaves = Array.from({ length: SITES - 1 }, (_, i) => `site${i}`)
  return {
    preferences: { topology: 'none' },
    sites: ['hub', ...leaves].map((name, i) => ({ name, prefixes: [`172.${16 + (i >> 8)}.${i & 255}.0/24`] })),
    tunnels: leaves.map((leaf) => ({ name: `hub-${leaf}`, sites: ['hub', leaf] })),
    routing: {
      maxPrefixes: 100_000,
      sites: [
        { site: 'hub', hub: true },
        ...leaves.map((site, i) => ({ site, ...owned(i), advertises: told(i, leaves) })),
      ],
    },
  }
}

/** Two hubs, and each site with a tunnel to the next one: no two choose alike. */
function mixed() {
  const base = star() as { sites: object[]; tunnels: object[]; routing: object; preferences: object }
  const ring = Array.from({ length: SITES - 2 }, (_, i) => ({ name: `ring${i}`, sites: [`site${i}`, `site${i + 1}`] }))
  return { ...base, tunnels: [...base.tunnels, ...ring] }
}

function owned(i: number) {
  return { owns: [`10.${i >> 2}.${(i & 3) * 64}.0/18`] }
}

function told(i: number, leaves: readonly string[]) {
  const prefixes = Array.from({ length: PREFIXES }, (_, n) => `10.${i >> 2}.${(i & 3) * 64 + n}.0/24`)
  if (i % 10 !== 0) return [{ prefixes }]
  return [{ prefixes: prefixes.slice(0, 40) }, { prefixes: prefixes.slice(40), to: [leaves[i + 1]!, leaves[i + 2]!] }]
}

function indexOf(draft: IntentDraft): IntentIndex {
  const index = new IntentIndex({ version: 0, preferences: { topology: 'none' }, sites: [], tunnels: [] })
  index.apply(planned(index, draft)!)
  return index
}

let ids = 0
function planned(index: IntentIndex, draft: IntentDraft) {
  const makeId = (kind: string) => `${kind === 'site' ? 'site' : 'tun'}_${String(ids++).padStart(20, '0')}`
  return planEdit(index, { type: 'replace', intent: draft }, { hasConnector: () => false, makeId })
}

/** A tunnel goes, and one site tells nothing any more. */
function changed(draft: IntentDraft): IntentDraft {
  const copy = structuredClone(draft)
  const last = copy.tunnels.pop()!
  for (const entry of copy.routing!.sites) if (last.sites.includes(entry.site)) delete entry.through
  copy.routing!.sites.at(-2)!.advertises = []
  return copy
}

function measure(shape: string, runs: number): Measured {
  const draft = intentDraftSchema.parse(SHAPES[shape]!())
  const index = indexOf(draft)
  const body = JSON.stringify(changed(draft))
  const answer = () => planResult(index, planned(index, intentDraftSchema.parse(JSON.parse(body))))
  const { totals, findings, more } = answer()
  const times = Array.from({ length: runs }, () => {
    const begin = performance.now()
    JSON.stringify(answer())
    return performance.now() - begin
  }).sort((one, other) => one - other)
  const ms = [times[0]!, times[times.length >> 1]!, times.at(-1)!].map(Math.round) as [number, number, number]
  return { shape, ...totals, findings: findings.length + more, ms }
}

const runs = Number(process.argv[process.argv.indexOf('--runs') + 1]) || 5
const results = Object.keys(SHAPES).map((shape) => measure(shape, runs))
if (process.argv.includes('--json')) process.stdout.write(`${JSON.stringify({ plan: results })}\n`)
else {
  for (const { shape, sites, prefixes, routes, findings, ms } of results) {
    const what = `${sites} sites, ${prefixes} prefixes, ${routes} routes, ${findings} findings`
    process.stdout.write(`${shape.padEnd(8)} ${what}: ${ms[1]} ms (${ms[0]} to ${ms[2]})\n`)
  }
}
