/** The two sizes of an engine. */
import { MAX_ROUTES, MAX_SAS, SMALL_ROUTES, SMALL_SAS } from './abi.ts'

/**
 * How much the tables hold: `large` MAX_SAS and MAX_ROUTES in some 560 MB of address space, of which memory is used as
 * entries come; `small` SMALL_SAS and SMALL_ROUTES, for hosts that count address space as memory.
 */
export type Capacity = 'small' | 'large'

export const CAPACITIES: Record<Capacity, { readonly sas: number; readonly routes: number }> = {
  small: { sas: SMALL_SAS, routes: SMALL_ROUTES },
  large: { sas: MAX_SAS, routes: MAX_ROUTES },
}
