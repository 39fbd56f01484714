/**
 * What makes a connector a member of a network, in its state directory: its identity key, where the control plane is,
 * its keys for sessions of functions and for secrets, and the managed state (last document, pins, epochs). All files are
 * mode 0600.
 */
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto'
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { fromBase64url, toBase64url } from '../../protocol/control/base64url.ts'
import { idSchema } from '../../protocol/control/ids.ts'
import { addressSchema, nameSchema, prefixSchema } from '../../protocol/control/values.ts'
import type { StreamKeyPair } from '../../protocol/stream-crypto.ts'
import { x25519PublicKey } from '../../wasm/stream-crypto-node.ts'
import { type ManagedState, managedStateSchema } from '../core/managed/state.ts'
import { EXIT, StartFailure } from '../handle.ts'
import { writeAtomically } from './files.ts'

const IDENTITY_FILE = 'identity.pem'
const ENROLLMENT_FILE = 'enrollment.json'
const STATE_FILE = 'managed.json'
/** X25519, base64url: the key by which functions know this connector. */
const STREAM_KEY_FILE = 'stream.key'

/** X25519, base64url: the key for which the control plane seals secrets. */
const SEALING_KEY_FILE = 'sealing.key'

const X25519_BYTES = 32

export const enrollmentSchema = z.strictObject({
  format: z.literal(1),
  /** Of the control plane, without a path. */
  url: z.url(),
  network: idSchema('network'),
  connector: idSchema('connector'),
  site: nameSchema,
  /** Ours, where it is not to be found out. */
  address: addressSchema.optional(),
  /** What this site advertises at most, whoever asks for more; changed here alone. */
  owns: z.array(prefixSchema).max(10_000).optional(),
})
export type Enrollment = z.infer<typeof enrollmentSchema>

export interface Identity {
  readonly privateKey: KeyObject
  /** Ed25519, base64url. */
  readonly publicKey: string
}

/** The identity of this state directory; made, and on disk, at the first call. */
export function openIdentity(directory: string): Identity {
  const path = join(directory, IDENTITY_FILE)
  const text = readText(path)
  if (text !== undefined) return identityOf(parsePem(path, text))
  const { privateKey } = generateKeyPairSync('ed25519')
  writeState(path, privateKey.export({ format: 'pem', type: 'pkcs8' }) as string)
  return identityOf(privateKey)
}

/** The key for sessions of functions; made, and on disk, at the first call. Throws as `openIdentity`. */
export function openStreamKey(directory: string): StreamKeyPair {
  return openX25519(join(directory, STREAM_KEY_FILE))
}

/** The key for secrets of tunnels to gateways of other makes; as `openStreamKey`. The private half is the caller's to wipe. */
export function openSealingKey(directory: string): StreamKeyPair {
  return openX25519(join(directory, SEALING_KEY_FILE))
}

/** Undefined where this directory belongs to no network. Throws a StartFailure for a file that makes no sense. */
export function readEnrollment(directory: string): Enrollment | undefined {
  return readJson(join(directory, ENROLLMENT_FILE), enrollmentSchema)
}

export function writeEnrollment(directory: string, enrollment: Enrollment): void {
  writeState(join(directory, ENROLLMENT_FILE), `${JSON.stringify(enrollment, undefined, 2)}\n`)
}

export function readManagedState(directory: string): ManagedState | undefined {
  return readJson(join(directory, STATE_FILE), managedStateSchema)
}

/** Throws the file system's error: nothing may be told to others before it is on disk. */
export function writeManagedState(directory: string, state: ManagedState): void {
  writeAtomically(join(directory, STATE_FILE), `${JSON.stringify(state)}\n`)
}

/** Forgets the network and every secret of it, the identity too. */
export function leaveNetwork(directory: string): void {
  for (const file of [STATE_FILE, ENROLLMENT_FILE, STREAM_KEY_FILE, SEALING_KEY_FILE, IDENTITY_FILE])
    rmSync(join(directory, file), { force: true })
}

function openX25519(path: string): StreamKeyPair {
  const text = readText(path)
  if (text === undefined) {
    const privateKey = new Uint8Array(randomBytes(X25519_BYTES))
    writeState(path, `${toBase64url(privateKey)}\n`)
    return { privateKey, publicKey: x25519PublicKey(privateKey) }
  }
  const privateKey = fromBase64url(text.trim())
  if (privateKey?.length !== X25519_BYTES) throw unreadable(path, 'it is no X25519 key in base64url')
  return { privateKey, publicKey: x25519PublicKey(privateKey) }
}

function identityOf(privateKey: KeyObject): Identity {
  const { x } = createPublicKey(privateKey).export({ format: 'jwk' })
  return { privateKey, publicKey: x! }
}

function parsePem(path: string, text: string): KeyObject {
  try {
    const key = createPrivateKey(text)
    if (key.asymmetricKeyType === 'ed25519') return key
  } catch {
    // Told below: what is in the file does not belong into a message.
  }
  throw unreadable(path, 'it is no Ed25519 key')
}

function readJson<T>(path: string, schema: z.ZodType<T>): T | undefined {
  const text = readText(path)
  if (text === undefined) return undefined
  try {
    const parsed = schema.safeParse(JSON.parse(text))
    if (parsed.success) return parsed.data
    const [issue] = parsed.error.issues
    throw unreadable(path, `${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'it does not fit'}`)
  } catch (error) {
    if (error instanceof StartFailure) throw error
    throw unreadable(path, 'it is no JSON')
  }
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw unreadable(path, (error as NodeJS.ErrnoException).code ?? 'it may not be read')
  }
}

function writeState(path: string, content: string): void {
  try {
    writeAtomically(path, content)
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code ?? String(error)
    const remedy = 'Make the state directory writable for this user, and look whether its disk is full.'
    throw new StartFailure('state-directory', `${path} cannot be written (${reason}).`, remedy, EXIT.unreadableFile)
  }
}

function unreadable(path: string, reason: string): StartFailure {
  return new StartFailure(
    'state-unreadable',
    `${path} cannot be used: ${reason}.`,
    'Bring it back from a backup, or leave the network with "isthmus leave" and join it again with a new token.',
    EXIT.unreadableFile,
  )
}
