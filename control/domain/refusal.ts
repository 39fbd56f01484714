/** Why an operation is not done: in the words of RFC 9457, for a person to act upon and for a program to tell apart. */

/** One faulty field. `pointer` is a JSON pointer (RFC 6901) into the body, or the name of a parameter. */
export interface Fault {
  readonly pointer: string
  readonly detail: string
}

/** A fault that has a code of its own where there is no other beside it. */
export interface CodedFault extends Fault {
  readonly code?: DomainRefusalCode
}

export interface RefusalFields {
  /** Stable word for programs. */
  readonly code: string
  /** HTTP status. */
  readonly status: number
  readonly title: string
  readonly detail?: string
  /** What to do about it. */
  readonly remedy?: string
  readonly errors?: readonly Fault[]
}

/** As many faults as one answer names; a body that is wrong throughout must not make a huge one. */
export const MAX_FAULTS = 100

export class Refusal extends Error {
  override readonly name = 'Refusal'
  readonly code: string
  readonly status: number
  readonly title: string
  readonly detail: string | undefined
  readonly remedy: string | undefined
  readonly errors: readonly Fault[] | undefined

  constructor({ code, status, title, detail, remedy, errors }: RefusalFields) {
    super(`${code}: ${detail ?? title}`)
    this.code = code
    this.status = status
    this.title = title
    this.detail = detail
    this.remedy = remedy
    this.errors = errors
  }
}

/** What the domain itself refuses; services and middleware have their own besides. */
export const DOMAIN_REFUSALS = {
  'invalid-request': { status: 400, title: 'The request has faults', remedy: 'Correct every entry of errors.' },
  'not-found': { status: 404, title: 'There is no such resource' },
  'duplicate-name': { status: 409, title: 'The name is taken', remedy: 'Choose another name.' },
  'prefix-overlap': {
    status: 409,
    title: 'Prefixes overlap',
    remedy: 'Give each address to one site only: list smaller prefixes, or correct the other site first.',
  },
  'limit-reached': { status: 409, title: 'A network holds no more of these' },
  'site-in-use': {
    status: 409,
    title: 'The site is in use',
    remedy: 'Remove its tunnels and its connections to clouds, and revoke its connectors first.',
  },
  'mesh-too-large': {
    status: 409,
    title: 'The network is too large for a mesh',
    remedy: 'Set the topology to none, and make the tunnels that you need one by one.',
  },
  'rotation-finished': { status: 409, title: 'It has ended already' },
  'rotation-retiring': {
    status: 409,
    title: 'The old key is being forgotten already',
    remedy: 'Wait until the rotation has ended; the new key is in use at both ends.',
  },
  'rotation-establishing': {
    status: 409,
    title: 'It makes the first key of the tunnel',
    remedy: 'Remove the tunnel if it is not wanted.',
  },
  'rollout-finished': { status: 409, title: 'The rollout has ended already' },
  stale: {
    status: 412,
    title: 'It has been changed since',
    remedy: 'Read it again, and apply your change to what is there now.',
  },
} as const satisfies Record<string, { status: number; title: string; remedy?: string }>

export type DomainRefusalCode = keyof typeof DOMAIN_REFUSALS

export function refuse(
  code: DomainRefusalCode,
  more: Pick<RefusalFields, 'detail' | 'remedy' | 'errors'> = {},
): Refusal {
  return new Refusal({ code, ...DOMAIN_REFUSALS[code], ...more })
}

/** One refusal for all faults of a body, with their code if they share one; undefined when there is none. */
export function refusalOf(faults: readonly CodedFault[]): Refusal | undefined {
  const [first] = faults
  if (first === undefined) return undefined
  const more = faults.length - 1
  const detail = more === 0 ? first.detail : `${first.detail} (and ${more} more ${more === 1 ? 'fault' : 'faults'})`
  const code = faults.every((fault) => fault.code === first.code) ? first.code : undefined
  const errors = faults.slice(0, MAX_FAULTS).map((fault) => ({ pointer: fault.pointer, detail: fault.detail }))
  return refuse(code ?? 'invalid-request', { detail, errors })
}

/** A JSON pointer (RFC 6901) from its reference tokens: `pointer('sites', 3, 'name')` is `/sites/3/name`. */
export function pointer(...tokens: readonly (string | number)[]): string {
  return tokens.map((token) => `/${String(token).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')
}
