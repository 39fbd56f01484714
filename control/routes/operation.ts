/** What one operation of the API is: from this its route, its checks and its entry in the OpenAPI document are made. */
import type { Context as Hono } from 'hono'
import type { z } from 'zod'
import { OPERATIONS, type OperationId, type Principal } from '../domain/roles.ts'
import type { RefusalCode } from '../service/refusals.ts'
import type { Services } from '../service/services.ts'
import type { Call, Outcome } from '../service/types.ts'

/** Opens the link of a connector that has been admitted. */
export type OpenLink = (c: Hono, link: { readonly network: string; readonly connector: string }) => Promise<Response>

/** Opens the sockets of the relay, by which functions reach connectors. */
export interface OpenRelay {
  /** A function's. Whether it may, its subprotocols tell; one that may not is told so by a close code. */
  call(c: Hono, target: { readonly network: string; readonly connector: string }): Promise<Response>
  /** One of a connector that has been admitted. */
  serve(c: Hono, names: { readonly network: string; readonly connector: string }): Promise<Response>
}

type Input<S> = S extends z.ZodType ? z.output<S> : undefined

export interface OperationInput<P, Q, B> {
  readonly params: Input<P>
  readonly query: Input<Q>
  readonly body: Input<B>
}

/** As the pipeline hands it over: what is in it, the schemas of the operation tell. */
export interface AnyInput {
  readonly params: unknown
  readonly query: unknown
  readonly body: unknown
}

export interface OperationSpec<P, Q, B, A> {
  /** Names the row of the roles table, which has method, path, summary and who may. */
  readonly id: OperationId
  readonly tag: string
  readonly description?: string
  readonly params?: P
  readonly query?: Q
  readonly body?: B
  /** Bytes; 1 MiB when absent. */
  readonly maxBody?: number
  readonly answer: {
    readonly status: 101 | 200 | 201 | 204
    readonly description: string
    readonly schema?: A
    /** Shows the revision as ETag; a GET answers 304 to If-None-Match. */
    readonly etag?: true
    /** Also in this type, when the query says so. */
    readonly ndjson?: true
  }
  /** If-Match must come with it. */
  readonly match?: true
  /** The answer holds a secret that is shown once: what is kept for a repetition is sealed. */
  readonly secret?: true
  /** Refusals beyond those that every operation can give. */
  readonly refusals?: readonly RefusalCode[]
}

export interface Handling {
  readonly services: Services
  readonly call: Call
  readonly http: Hono
  /** Absent where there are no WebSockets. */
  readonly openLink: OpenLink | undefined
  /** Absent where there is no relay. */
  readonly openRelay: OpenRelay | undefined
}

export interface Operation {
  // biome-ignore lint/suspicious/noExplicitAny: operations of all shapes stand in one list
  readonly spec: OperationSpec<any, any, any, any>
  readonly run: (handling: Handling, input: AnyInput) => Promise<Outcome | Response>
}

/** Binds an operation to the service that carries it out; the types of its input come from its schemas. */
export function operation<
  P extends z.ZodObject | undefined = undefined,
  Q extends z.ZodObject | undefined = undefined,
  B extends z.ZodType | undefined = undefined,
  A extends z.ZodType | undefined = undefined,
>(
  spec: OperationSpec<P, Q, B, A>,
  run: (
    handling: Handling,
    input: OperationInput<P, Q, B>,
  ) => Promise<Outcome<A extends z.ZodType ? z.output<A> : undefined> | Response>,
): Operation {
  return { spec, run: run as Operation['run'] }
}

export function methodOf(operation: Operation): 'GET' | 'POST' | 'PUT' | 'DELETE' {
  return OPERATIONS[operation.spec.id].method
}

export function pathOf(operation: Operation): string {
  return OPERATIONS[operation.spec.id].path
}

/** Posts of people and jobs; those of a connector or a function change nothing when repeated. */
export function takesKey(operation: Operation): boolean {
  const { may } = OPERATIONS[operation.spec.id]
  return methodOf(operation) === 'POST' && may !== 'anybody' && (may as readonly Principal[]).some(isOfPeople)
}

/** Whether it is a person's or a job's, with an API token. */
export function isOfPeople(principal: Principal): boolean {
  return principal !== 'connector' && principal !== 'function'
}
