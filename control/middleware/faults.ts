/** Faults of a request, each with a JSON pointer (RFC 6901) to where it is. */
import type { z } from 'zod'
import { type Fault, pointer } from '../domain/refusal.ts'

/** All faults that zod found; each unknown field by its own name. */
export function faultsOf(error: z.ZodError, prefix = ''): Fault[] {
  const faults: Fault[] = []
  for (const issue of error.issues) collect(issue, prefix, faults)
  return faults
}

function collect(issue: z.core.$ZodIssue, prefix: string, into: Fault[]): void {
  const at = prefix + pointer(...issue.path.map((step) => String(step).slice(0, 200)))
  if (issue.code === 'unrecognized_keys') {
    for (const key of issue.keys) into.push({ pointer: at + pointer(key.slice(0, 200)), detail: 'unknown field' })
  } else into.push({ pointer: at, detail: issue.message })
}
