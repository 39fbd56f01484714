/** Identifiers of the control plane: a prefix that tells the kind, and 20 characters of Crockford's base32, 100 random bits. */
import { z } from 'zod'

const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz'
const LENGTH = 20

export const ID_PREFIX = {
  network: 'net',
  site: 'site',
  connector: 'con',
  tunnel: 'tun',
  token: 'tok',
  join: 'join',
  policy: 'pol',
  rotation: 'rot',
  run: 'run',
  rollout: 'roll',
  function: 'fn',
  cloud: 'cld',
  cloudRun: 'crun',
  external: 'ext',
} as const
export type IdKind = keyof typeof ID_PREFIX

/** Makes an identifier of `kind` from 20 random bytes. Throws RangeError for another number of them. */
export function makeId(kind: IdKind, random: Uint8Array): string {
  if (random.length !== LENGTH) throw new RangeError(`an identifier takes ${LENGTH} random bytes`)
  let text = ''
  for (const byte of random) text += ALPHABET[byte & 31]
  return `${ID_PREFIX[kind]}_${text}`
}

export function idSchema(kind: IdKind) {
  const prefix = ID_PREFIX[kind]
  return z
    .string()
    .regex(new RegExp(`^${prefix}_[${ALPHABET}]{${LENGTH}}$`), `not the id of a ${kind}`)
    .meta({ description: `Identifier of a ${kind}.`, examples: [`${prefix}_0123456789abcdefghjk`] })
}
