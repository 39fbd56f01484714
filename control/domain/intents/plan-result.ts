/** What a change of the intent comes to, as the API answers it. */
import {
  MAX_PLAN_FINDINGS,
  MAX_PLAN_ROUTES,
  type PlanResult,
  type PlanRoute,
  type PlanSite,
} from '../../../protocol/control/plan.ts'
import type { IntentPlan, IntentView } from '../intent-index.ts'
import { type Comparison, compare, type Documents, wayAt } from './comparison.ts'
import type { CompiledRouting } from './compile.ts'
import { findingsOf } from './findings.ts'
import { compiledAfter, compiledNow } from './routed-state.ts'
import { NO_WAY } from './ways.ts'

/** `plan`: undefined where the draft changes nothing; then the findings are of what there is. */
export function planResult(view: IntentView, plan: IntentPlan | undefined): PlanResult {
  const before = compiledNow(view)
  const result = assess(before, plan === undefined ? before : compiledAfter(view, plan))
  return { ...result, base: view.version, changes: plan !== undefined }
}

/** Whether it is not to be carried out unless somebody insists. */
export function blocks({ blocked }: PlanResult): boolean {
  return blocked
}

export function assess(
  before: CompiledRouting,
  after: CompiledRouting,
  documents?: Documents,
): Omit<PlanResult, 'base' | 'changes'> {
  const comparison = compare(before, after, documents)
  const sites = rowsOf(comparison)
  const findings = findingsOf(comparison, after.reach).sort(
    (one, other) => Number(other.severity === 'error') - Number(one.severity === 'error'),
  )
  const { classes } = comparison.after.outcome.fabric
  return {
    blocked: findings.some(({ severity }) => severity === 'error'),
    sites: sites.filter(({ change }) => change !== 'same'),
    findings: findings.slice(0, MAX_PLAN_FINDINGS),
    more: Math.max(0, findings.length - MAX_PLAN_FINDINGS),
    totals: {
      sites: after.sites.length,
      prefixes: classes.sorted.length,
      routes: sites.reduce((sum, site) => sum + site.after, 0),
    },
  }
}

/** One row for each site of either state. */
function rowsOf(comparison: Comparison): PlanSite[] {
  const { before, after, shifts, table } = comparison
  const names = after.sites.map(({ name }) => name)
  return names.map((site, index) => {
    const row = { before: 0, after: 0, added: 0, removed: 0, moved: 0 }
    const routes: PlanRoute[] = []
    for (const shift of shifts) {
      const [was, is] = [wayAt(before, index, shift.before), wayAt(after, index, shift.after)]
      if (was !== NO_WAY) row.before += shift.count
      if (is !== NO_WAY) row.after += shift.count
      const isSame = was === is && (was === NO_WAY || ownerOf(before, shift.before) === ownerOf(after, shift.after))
      if (isSame) continue
      const change = was === NO_WAY ? 'added' : is === NO_WAY ? 'removed' : 'moved'
      row[change] += shift.count
      for (const prefix of shift.examples) {
        if (routes.length === MAX_PLAN_ROUTES) break
        routes.push({
          prefix,
          change,
          ...(was === NO_WAY ? {} : { before: named(table.ways(was), ownerOf(before, shift.before), names) }),
          ...(is === NO_WAY ? {} : { after: named(table.ways(is), ownerOf(after, shift.after), names) }),
        })
      }
    }
    const isChanged = row.added + row.removed + row.moved > 0
    const change = !before.has[index] ? 'new' : !after.has[index] ? 'gone' : isChanged ? 'changed' : 'same'
    return { site, change, ...row, routes }
  })
}

function ownerOf({ outcome }: Comparison['before'], classId: number): number {
  return outcome.fabric.classes.all[classId]!.owner
}

function named(ways: readonly (readonly number[])[], owner: number, names: readonly string[]): string[][] {
  return ways.map((way) => [...way, owner].map((site) => names[site] ?? '?'))
}
