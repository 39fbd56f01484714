import { z } from 'zod'
import { idSchema } from '../../protocol/control/ids.ts'
import { rotationSchema, runSchema } from '../../protocol/control/rotation.ts'
import { type Operation, operation } from './operation.ts'
import { inNetwork, inNetworkBy, pageAnswer, pageOfQuery, pageQuery } from './shapes.ts'

const runDraftSchema = z
  .strictObject({
    tunnels: z
      .array(idSchema('tunnel'))
      .min(1)
      .max(10_000)
      .optional()
      .meta({ description: 'Every tunnel of the network when absent.' }),
    dryRun: z.boolean().default(false).meta({ description: 'Only say what would be rotated.' }),
    canary: z
      .boolean()
      .default(true)
      .meta({ description: 'The first rotation goes alone, and must end well before the others begin.' }),
    maxConcurrent: z.int().min(1).max(1000).default(10),
    stopOnFailure: z.boolean().default(true),
  })
  .meta({ id: 'RunDraft' })

const skippedSchema = z.strictObject({ tunnel: idSchema('tunnel'), name: z.string(), why: z.string() })
const plannedSchema = skippedSchema.extend({ from: z.int().min(1).meta({ description: 'Epoch of the present key.' }) })
const runAnswerSchema = z
  .strictObject({
    run: runSchema.optional().meta({ description: 'Absent for a dry run.' }),
    planned: z
      .array(plannedSchema)
      .optional()
      .meta({ description: 'Of a dry run: in the order in which they would begin.' }),
    skipped: z.array(skippedSchema).meta({ description: 'Tunnels that were meant and cannot be rotated now.' }),
  })
  .meta({ id: 'RunAnswer' })

const runs: readonly Operation[] = [
  operation(
    {
      id: 'runs.create',
      tag: 'Rotations',
      params: inNetwork,
      body: runDraftSchema,
      answer: { status: 201, description: 'The run, or the plan of a dry run.', schema: runAnswerSchema },
      refusals: ['nothing-to-rotate'],
    },
    ({ services, call }, { body }) => services.runs.create(call, body),
  ),
  operation(
    {
      id: 'runs.list',
      tag: 'Rotations',
      params: inNetwork,
      query: pageQuery.extend({ state: runSchema.shape.state.optional() }),
      answer: { status: 200, description: 'A page of runs.', schema: pageAnswer(runSchema, 'RunPage') },
    },
    ({ services, call }, { query }) => services.runs.list(call, pageOfQuery(query), query.state),
  ),
  operation(
    {
      id: 'runs.get',
      tag: 'Rotations',
      params: inNetworkBy('run', 'run'),
      answer: { status: 200, description: 'The run.', schema: runSchema, etag: true },
    },
    ({ services, call }, { params }) => services.runs.get(call, params.run),
  ),
  operation(
    {
      id: 'runs.abort',
      tag: 'Rotations',
      description: 'Rotations that wait are dropped; those under way go back to the old key where that is possible.',
      params: inNetworkBy('run', 'run'),
      answer: { status: 200, description: 'The run as it is now.', schema: runSchema, etag: true },
      refusals: ['run-finished'],
    },
    ({ services, call }, { params }) => services.runs.abort(call, params.run),
  ),
]

const rotations: readonly Operation[] = [
  operation(
    {
      id: 'rotations.list',
      tag: 'Rotations',
      params: inNetwork,
      query: pageQuery.extend({
        tunnel: idSchema('tunnel').optional(),
        run: idSchema('run').optional(),
        state: z
          .enum(['queued', 'active', 'done', 'aborted'])
          .optional()
          .meta({ description: 'Of the whole, or of `run`.' }),
      }),
      answer: { status: 200, description: 'A page of rotations.', schema: pageAnswer(rotationSchema, 'RotationPage') },
    },
    ({ services, call }, { query }) => services.rotations.list(call, pageOfQuery(query), query),
  ),
  operation(
    {
      id: 'rotations.get',
      tag: 'Rotations',
      description: 'Once it has ended, with the evidence, signed by the `evidenceKey` of the network.',
      params: inNetworkBy('rotation', 'rotation'),
      answer: { status: 200, description: 'The rotation.', schema: rotationSchema, etag: true },
    },
    ({ services, call }, { params }) => services.rotations.get(call, params.rotation),
  ),
  operation(
    {
      id: 'rotations.abort',
      tag: 'Rotations',
      description: 'The old key goes on working.',
      params: inNetworkBy('rotation', 'rotation'),
      answer: { status: 200, description: 'The rotation as it is now.', schema: rotationSchema, etag: true },
      refusals: ['rotation-finished', 'rotation-retiring', 'rotation-establishing'],
    },
    ({ services, call }, { params }) => services.rotations.abort(call, params.rotation),
  ),
]

export const rotationRoutes: readonly Operation[] = [...runs, ...rotations]
