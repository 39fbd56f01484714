/** The token of a function: who it is, and where its control plane is. */
import { failure, type IsthmusError } from './error.ts'

export interface Account {
  /** What the control plane is shown. */
  readonly token: string
  readonly network: string
  /** Origin and path of the control plane, without a slash at the end. */
  readonly url: string
}

const FORM = /^(ist_function_([0-9a-z]{20})_[0-9a-z]{20}_[A-Za-z0-9_-]{43})(?:@(.+))?$/
const MAKE =
  'Make one with isthmus function add <name> --allow <site>/<service>; it is one word with the address behind an @.'

/** Reads a token. `url` goes before the address that it brings. Throws an IsthmusError that shows nothing of it. */
export function readAccount(text: string | undefined, url: string | URL | undefined): Account {
  if (text === undefined || text === '')
    throw refused('There is no token: neither the option nor $ISTHMUS_TOKEN has one.')
  const [, token, network, own] = FORM.exec(text.trim()) ?? []
  if (token === undefined) throw refused('What was given as a token is not the token of a function.')
  const address = url === undefined ? own : String(url)
  if (address === undefined) throw refused('The token has no address of a control plane, and the option url has none.')
  return { token, network: `net_${network}`, url: controlUrl(address) }
}

function controlUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.username !== '' || url.password !== '')
    throw refused('The address of the control plane is no http or https URL.')
  return `${url.origin}${url.pathname.replace(/\/+$/, '')}`
}

function refused(cause: string): IsthmusError {
  return failure('control-refused', cause, MAKE)
}
