/** Pre-shared keys from files and environment variables. What they hold appears in no message. */

export interface SecretSource {
  /** Throws a Node.js file error with a `code`. */
  readFile(path: string): Uint8Array
  /** Permission bits of the file, or undefined where that means nothing. */
  fileMode(path: string): number | undefined
  readonly env: Readonly<Record<string, string | undefined>>
}

export interface SecretFault {
  readonly message: string
  readonly remedy: string
  readonly kind?: 'file'
}

/** Below this many bytes a key can be guessed from one recorded handshake. */
const SHORT = 16
const MAX_BYTES = 1024

/**
 * The key itself, freshly allocated. One line break at the end is not part of it; `hex:` or `0x` and `base64:`
 * introduce encoded bytes, and everything else is the key as it stands.
 */
export function decodeSecret(bytes: Uint8Array): Uint8Array | SecretFault {
  let end = bytes.length
  if (end > 0 && bytes[end - 1] === 0x0a) end--
  if (end > 0 && bytes[end - 1] === 0x0d) end--
  const body = Uint8Array.from(bytes.subarray(0, end))
  const key = decodeBody(body)
  if (!(key instanceof Uint8Array)) return key
  if (key.length === 0)
    return { message: 'the secret is empty', remedy: 'write the secret into it, or make a new one with isthmus keygen' }
  if (key.length > MAX_BYTES) {
    return { message: `the secret is longer than ${MAX_BYTES} bytes`, remedy: 'check that it is the right file' }
  }
  return key
}

export function isShort(key: Uint8Array): boolean {
  return key.length < SHORT
}

/** Reads a file with words for what went wrong. */
export function readSecretFile(source: SecretSource, path: string): Uint8Array | SecretFault {
  try {
    return source.readFile(path)
  } catch (error) {
    const code = (error as { code?: unknown }).code
    if (code === 'ENOENT') {
      const remedy = `write the secret into it, or make a new one: isthmus keygen ${path}`
      return { message: `there is no file ${path}`, remedy, kind: 'file' }
    }
    if (code === 'EACCES' || code === 'EPERM') {
      const remedy = 'run as a user who may read it, or give it to the one who runs isthmus (chown, mode 0600)'
      return { message: `the file ${path} may not be read`, remedy, kind: 'file' }
    }
    const reason = typeof code === 'string' ? ` (${code})` : ''
    return { message: `the file ${path} could not be read${reason}`, remedy: 'name a plain file', kind: 'file' }
  }
}

function decodeBody(body: Uint8Array): Uint8Array | SecretFault {
  const prefix = String.fromCharCode(...body.slice(0, 7))
  if (prefix.startsWith('base64:')) return decodeBase64(latin1(body.slice(7)))
  if (prefix.startsWith('hex:')) return decodeHex(latin1(body.slice(4)))
  if (prefix.startsWith('0x')) return decodeHex(latin1(body.slice(2)))
  return body
}

function decodeHex(text: string): Uint8Array | SecretFault {
  const digits = text.trim()
  if (digits.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(digits)) {
    return {
      message: 'the secret announces hex, but is not pairs of hex digits',
      remedy: 'correct it, or remove its prefix',
    }
  }
  return Uint8Array.from(digits.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16))
}

function decodeBase64(text: string): Uint8Array | SecretFault {
  const digits = text.trim()
  if (digits.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(digits)) {
    return { message: 'the secret announces base64, but is not', remedy: 'correct it, or remove its prefix' }
  }
  return Uint8Array.from(atob(digits), (char) => char.charCodeAt(0))
}

function latin1(bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes) text += String.fromCharCode(byte)
  return text
}
