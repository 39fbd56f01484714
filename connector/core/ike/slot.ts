/** A slot: one child on one resource (RFC 9611). At most one Child SA of each carries traffic at a time. */
export type Slot = string

export function slotOf(child: string, resource: number): Slot {
  return `${resource} ${child}`
}
