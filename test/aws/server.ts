/**
 * A stand-in for EC2: the Query protocol over HTTP as the SDK and the `aws` CLI speak it, with the states, delays, errors
 * and limits of site-to-site VPN, and a network behind it that carries packets (`carrier.ts`).
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { Ec2Error, missing } from './ec2-error.ts'
import { authorize, type Policy, unauthorized } from './ec2-iam.ts'
import { HANDLERS } from './ec2-operations.ts'
import { Operator } from './ec2-operator.ts'
import { accountOf, type SeedOptions } from './ec2-seed.ts'
import { isRead, Throttle, type ThrottleOptions } from './ec2-throttle.ts'
import { escaped, type Fields, operationOf, parseInput, renderOutput } from './sdk-model.ts'
import { type Credentials, verifySignature } from './sigv4.ts'

export { TRANSIT_GATEWAY, VPC } from './ec2-seed.ts'
export { AWS_RATES } from './ec2-throttle.ts'

/** Without a policy all is allowed. */
export interface Caller extends Credentials {
  readonly policy?: Policy
}

export const CREDENTIALS: Caller = {
  id: 'AKIAISTHMUSTEST00001',
  secret: 'a-secret-of-the-stand-in-and-nobody-else',
}

export interface Ec2Options extends SeedOptions, ThrottleOptions {
  readonly credentials?: readonly Caller[]
  /** Gets a line for each call. */
  readonly log?: (line: string) => void
}

export interface Ec2Call {
  readonly action: string
  /** As the SDK names it, in JSON; keys of tunnels are left out. */
  readonly input: string
  /** Absent: it was done. */
  readonly error?: string
  /** It was done, and the answer never sent. */
  readonly unanswered?: true
}

/** `drop`: the connection ends without an answer. `hang`: it stays open, and no answer comes. */
export type Verdict = 'drop' | 'hang' | undefined
/** An Ec2Error that it throws is the answer. */
export type Hook = (action: string, input: Fields) => Verdict | Promise<Verdict>
export type Phase = 'before' | 'after-effect'

interface Failure {
  readonly code: string
  readonly status: number
  times: number
}

const MOST_BODY = 1 << 20
const XML = { 'content-type': 'text/xml;charset=UTF-8' }

export class Ec2 extends Operator {
  readonly calls: Ec2Call[] = []
  readonly #options: Ec2Options
  readonly #server: Server
  readonly #throttle: Throttle
  readonly #hooks: { readonly action: string; readonly phase: Phase; readonly hook: Hook }[] = []
  readonly #failures = new Map<string, Failure>()
  readonly #forbidden = new Set<string>()
  #requests = 0
  url = ''

  constructor(options: Ec2Options) {
    super(accountOf(options))
    this.#options = options
    this.#throttle = new Throttle(options, () => this.account.clock.now())
    this.#server = createServer((request, response) => void this.#serve(request, response))
  }

  async start(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    const address = this.#server.address()
    this.url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`
  }

  async close(): Promise<void> {
    this.account.isClosed = true
    this.account.clock.end()
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
    await this.settled()
  }

  /** `*`: whatever the action is. Returns what takes the hook away. */
  on(action: string, phase: Phase, hook: Hook): () => void {
    const entry = { action, phase, hook }
    this.#hooks.push(entry)
    return () => {
      const at = this.#hooks.indexOf(entry)
      if (at >= 0) this.#hooks.splice(at, 1)
    }
  }

  /** The next `times` calls of the action fail so, without effect. */
  fail(action: string, code: string, times = 1, status = 400): void {
    this.#failures.set(action, { code, status, times })
  }

  forbid(action: string, on = true): void {
    if (on) this.#forbidden.add(action)
    else this.#forbidden.delete(action)
  }

  /** Of the actions that have changed something. */
  get changes(): string[] {
    return this.calls.filter(({ action, error }) => !isRead(action) && error === undefined).map(({ action }) => action)
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const requestId = `00000000-0000-4000-8000-${String(++this.#requests).padStart(12, '0')}`
    try {
      const answer = await this.#answer(request, await bodyOf(request), requestId)
      if (answer === 'drop') response.destroy()
      else if (answer !== 'hang') response.writeHead(200, XML).end(answer.xml)
    } catch (error) {
      const known = error instanceof Ec2Error ? error : new Ec2Error('InternalError', String(error), 500)
      const errors = `<Errors><Error><Code>${known.code}</Code><Message>${escaped(known.message)}</Message></Error></Errors>`
      const text = `<?xml version="1.0" encoding="UTF-8"?>\n<Response>${errors}<RequestID>${requestId}</RequestID></Response>`
      response.writeHead(known.status, XML).end(text)
    }
  }

  async #answer(request: IncomingMessage, body: string, requestId: string): Promise<'drop' | 'hang' | { xml: string }> {
    const params = new Map(new URLSearchParams(body))
    const action = params.get('Action') ?? ''
    let input: Fields = {}
    try {
      const caller = this.#callerOf(request, body)
      input = this.#inputOf(action, params)
      this.#admit(caller, action, input)
      const early = await this.#hooked('before', action, input)
      if (early !== undefined) {
        this.#note({ action, input: textOf(input), error: early })
        return early
      }
      const output = await HANDLERS[action]!(this.account, input)
      const late = await this.#hooked('after-effect', action, input)
      this.#note({ action, input: textOf(input), ...(late === undefined ? {} : { unanswered: true }) })
      return late ?? { xml: renderOutput(action, output, requestId) }
    } catch (error) {
      this.#note({ action, input: textOf(input), error: error instanceof Ec2Error ? error.code : String(error) })
      throw error
    }
  }

  #note(call: Ec2Call): void {
    this.calls.push(call)
    this.#options.log?.(`${call.action} ${call.input} ${call.error ?? 'done'}`)
  }

  #callerOf(request: IncomingMessage, body: string): Caller {
    const known = this.#options.credentials ?? [CREDENTIALS]
    const { region, caller } = verifySignature(request, body, known, Date.now())
    const own = this.account.region
    if (region === own) return caller
    throw new Ec2Error('AuthFailure', `Credential should be scoped to a valid region, not '${region}': ${own}.`, 401)
  }

  #inputOf(action: string, params: Map<string, string>): Fields {
    const version = params.get('Version')
    params.delete('Action')
    params.delete('Version')
    const operation = operationOf(action)
    if (operation === undefined || !Object.hasOwn(HANDLERS, action) || version !== '2016-11-15') {
      throw new Ec2Error('InvalidAction', `The action ${action} is not valid for this web service.`)
    }
    const { input, unknown, malformed, missing: absent } = parseInput(operation, params)
    if (unknown.length > 0) throw new Ec2Error('UnknownParameter', `The parameter ${unknown[0]} is not recognized`)
    if (malformed.length > 0) {
      throw new Ec2Error('InvalidParameterValue', `Value for parameter ${malformed[0]} is invalid.`)
    }
    if (absent.length > 0) throw missing(absent[0]!)
    return input
  }

  #admit({ policy }: Caller, action: string, input: Fields): void {
    this.#throttle.admit(action, input)
    if (this.#forbidden.has(action)) throw unauthorized(this.account, action)
    if (policy !== undefined) authorize(this.account, policy, action, input)
    if ('DryRun' in input && input.DryRun === true) {
      throw new Ec2Error('DryRunOperation', 'Request would have succeeded, but DryRun flag is set.', 412)
    }
    const failure = this.#failures.get(action)
    if (failure === undefined || failure.times === 0) return
    failure.times--
    throw new Ec2Error(failure.code, 'as the test wants it', failure.status)
  }

  async #hooked(phase: Phase, action: string, input: Fields): Promise<Verdict> {
    const own = this.#hooks.filter((each) => each.phase === phase && (each.action === '*' || each.action === action))
    for (const { hook } of own) {
      const verdict = await hook(action, input)
      if (verdict !== undefined) return verdict
    }
    return undefined
  }
}

export async function startEc2(options: Ec2Options = {}): Promise<Ec2> {
  const ec2 = new Ec2(options)
  await ec2.start()
  return ec2
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  let body = ''
  for await (const part of request.setEncoding('utf8')) {
    body += String(part)
    if (body.length > MOST_BODY) throw new Ec2Error('RequestTooLarge', 'The request is too large', 413)
  }
  return body
}

function textOf(input: Fields): string {
  return JSON.stringify(input, (name, value: unknown) => (name === 'PreSharedKey' ? undefined : value))
}
