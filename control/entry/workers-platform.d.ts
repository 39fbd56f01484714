/** What we use of the Workers runtime and of its test helpers, as TypeScript sees it. */
declare module 'cloudflare:workers' {
  export abstract class DurableObject<Env = unknown> {
    protected ctx: import('./workers-types.ts').ObjectState
    protected env: Env
    constructor(ctx: import('./workers-types.ts').ObjectState, env: Env)
  }
  export const env: import('./workers-types.ts').WorkerEnv
  export const exports: {
    readonly default: {
      fetch(request: Request | string, init?: RequestInit): Promise<import('./workers-types.ts').UpgradeResponse>
    }
  }
}

declare module 'cloudflare:test' {
  type Stub = import('./workers-types.ts').Stub
  export function runInDurableObject<O, R>(
    stub: Stub,
    work: (instance: O, state: import('./workers-types.ts').ObjectState) => R | Promise<R>,
  ): Promise<R>
  export function runDurableObjectAlarm(stub: Stub): Promise<boolean>
  export function evictDurableObject(stub: Stub, options?: { webSockets?: 'close' | 'hibernate' }): Promise<void>
  export function listDurableObjectIds(namespace: import('./workers-types.ts').Namespace): Promise<unknown[]>
  export function createExecutionContext(): unknown
  export function waitOnExecutionContext(context: unknown): Promise<void>
}
