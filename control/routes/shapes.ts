/** Parameters and answers that many operations share. */
import { z } from 'zod'
import { type IdKind, idSchema } from '../../protocol/control/ids.ts'

export const inNetwork = z.object({ network: idSchema('network') })

/** The path of one resource within its network; `name` is the parameter. */
export function inNetworkBy<N extends string>(name: N, kind: IdKind) {
  return inNetwork.extend({ [name]: idSchema(kind) } as { [P in N]: ReturnType<typeof idSchema> })
}

export const pageQuery = z.strictObject({
  limit: z.coerce.number().int().min(1).max(500).default(50).meta({ description: 'Items of one page.' }),
  cursor: z.string().max(200).optional().meta({ description: '`next` of the page before.' }),
})

export function pageAnswer<T extends z.ZodType>(item: T, id: string) {
  return z
    .strictObject({
      items: z.array(item),
      next: z.string().optional().meta({ description: 'Cursor of the next page; absent on the last one.' }),
    })
    .meta({ id })
}

export function pageOfQuery(query: z.output<typeof pageQuery>): { limit: number; cursor?: string } {
  return query.cursor === undefined ? { limit: query.limit } : { limit: query.limit, cursor: query.cursor }
}
