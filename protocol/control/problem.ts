/** Problem documents (RFC 9457): every error of the API, each fault of a request by its own entry. */
import { z } from 'zod'

export const problemSchema = z
  .object({
    type: z.string().meta({ description: 'A URI reference that names the kind of problem.' }),
    title: z.string(),
    status: z.int(),
    /** Stable word for programs. */
    code: z.string(),
    detail: z.string().optional(),
    remedy: z.string().optional(),
    requestId: z.string().optional(),
    errors: z
      .array(
        z.object({
          /** JSON pointer (RFC 6901) into the body, or the name of a parameter. */
          pointer: z.string(),
          detail: z.string(),
        }),
      )
      .optional(),
  })
  .meta({ id: 'Problem', description: 'RFC 9457 problem document.' })
export type Problem = z.infer<typeof problemSchema>
