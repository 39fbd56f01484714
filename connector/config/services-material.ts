/** What `services.yaml` names and does not hold: certificates, keys, the values of headers. No message shows any of it. */
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { resolve } from 'node:path'
import { createSecureContext } from 'node:tls'
import type { ConfigPath, Finding } from './faults.ts'
import { valueAt } from './raw.ts'
import { readSecretFile, type SecretSource } from './secret.ts'

export interface Material {
  /** PEM by the path of its key, like `services.erp.tls.ca`. */
  readonly texts: ReadonlyMap<string, string>
  /** By the name of the service; header names in lower case. */
  readonly headers: ReadonlyMap<string, readonly (readonly [string, string])[]>
  /** The first name in the certificate of `listen`; empty where there is none. */
  readonly listenName: string
  /** Full names of the files that were looked at. */
  readonly files: readonly string[]
  readonly faults: readonly Finding[]
  readonly warnings: readonly Finding[]
}

const VARIABLE_NAME = /^[A-Za-z_]\w{0,127}$/
/** Longest value of one header; servers mostly take 8 KB of all. */
const MAX_VALUE = 8192

export function readMaterial(root: unknown, directory: string, files: SecretSource): Material {
  return new MaterialReader(root, directory, files).read()
}

class MaterialReader {
  readonly #root: unknown
  readonly #directory: string
  readonly #files: SecretSource
  readonly #texts = new Map<string, string>()
  readonly #headers = new Map<string, (readonly [string, string])[]>()
  readonly #seen: string[] = []
  readonly #faults: Finding[] = []
  readonly #warnings: Finding[] = []
  #listenName = ''

  constructor(root: unknown, directory: string, files: SecretSource) {
    this.#root = root
    this.#directory = directory
    this.#files = files
  }

  read(): Material {
    const services = valueAt(this.#root, ['services'])
    for (const name of typeof services === 'object' && services !== null ? Object.keys(services) : []) {
      this.#readCertificates(['services', name, 'tls', 'ca'])
      this.#readPair(['services', name, 'tls'])
      this.#readHeaders(name, valueAt(services, [name, 'headers']))
    }
    const certificate = this.#readPair(['listen'])
    if (certificate !== undefined) this.#nameListener(certificate)
    return {
      texts: this.#texts,
      headers: this.#headers,
      listenName: this.#listenName,
      files: this.#seen,
      faults: this.#faults,
      warnings: this.#warnings,
    }
  }

  #readHeaders(service: string, section: unknown): void {
    if (typeof section !== 'object' || section === null || Array.isArray(section)) return
    const read: (readonly [string, string])[] = []
    for (const [name, value] of Object.entries(section)) {
      const path = ['services', service, 'headers', name]
      if (HOP_BY_HOP.has(name.toLowerCase())) {
        const remedy = name.toLowerCase() === 'host' ? 'use host_header' : 'leave it out'
        this.#fault(path, `${name} is for the connection, which is not the function's`, remedy, true)
      }
      const text = this.#headerText(path, value)
      if (text === undefined) continue
      if (!isFieldValue(text)) {
        this.#fault(path, 'its value cannot stand in a header', 'take line breaks and control characters out')
      }
      read.push([name.toLowerCase(), text])
    }
    this.#headers.set(service, read)
  }

  #headerText(path: ConfigPath, value: unknown): string | undefined {
    if (typeof value === 'string') return value.trim()
    const [file, variable] = [valueAt(value, ['file']), valueAt(value, ['env'])]
    if (typeof file === 'string') return this.#readText([...path, 'file'], file, true)?.trim()
    if (typeof variable !== 'string' || !VARIABLE_NAME.test(variable)) return undefined
    const text = this.#files.env[variable]
    if (text !== undefined) return text.trim()
    const remedy = 'set it for the connector’s process'
    this.#fault([...path, 'env'], `the environment has no variable ${variable}`, remedy)
    return undefined
  }

  /** Certificate and key of a section, where they belong together. */
  #readPair(path: readonly string[]): X509Certificate | undefined {
    const certificate = this.#readCertificates([...path, 'certificate'])
    const keyPath = [...path, 'key']
    const keyFile = valueAt(this.#root, keyPath)
    const key = typeof keyFile === 'string' ? this.#readText(keyPath, keyFile, true) : undefined
    if (key === undefined) return certificate
    try {
      createPrivateKey(key)
    } catch {
      this.#fault(
        keyPath,
        'the file holds no private key in PEM',
        'name the key of the certificate, without a passphrase',
      )
      return certificate
    }
    const pem = this.#texts.get([...path, 'certificate'].join('.'))
    if (pem === undefined) return certificate
    try {
      createSecureContext({ cert: pem, key })
      this.#texts.set(keyPath.join('.'), key)
    } catch {
      this.#fault(keyPath, 'it is not the key of the certificate', 'name the one that was made with it')
    }
    return certificate
  }

  /** The first certificate in the file. */
  #readCertificates(path: readonly string[]): X509Certificate | undefined {
    const file = valueAt(this.#root, path)
    const text = typeof file === 'string' ? this.#readText(path, file, false) : undefined
    if (text === undefined) return undefined
    try {
      const certificate = new X509Certificate(text)
      this.#texts.set(path.join('.'), text)
      if (certificate.validToDate.getTime() < Date.now()) {
        this.#warnings.push({ path, message: 'the certificate has expired', remedy: 'put a new one in its place' })
      }
      return certificate
    } catch {
      this.#fault(path, 'the file holds no certificate in PEM', 'it begins with -----BEGIN CERTIFICATE-----')
      return undefined
    }
  }

  #nameListener({ subjectAltName = '' }: X509Certificate): void {
    const names = subjectAltName.split(', ').filter((part) => part.startsWith('DNS:') && !part.includes('*'))
    this.#listenName = names[0]?.slice('DNS:'.length) ?? ''
    if (this.#listenName !== '' || valueAt(this.#root, ['listen', 'url']) !== undefined) return
    const remedy = 'add url: wss://<name>:<port>/, as it looks from outside'
    this.#fault(['listen', 'certificate'], 'the certificate names no host that functions could be told', remedy)
  }

  #readText(path: ConfigPath, file: string, isSecret: boolean): string | undefined {
    const fullName = resolve(this.#directory, file)
    this.#seen.push(fullName)
    const bytes = readSecretFile(this.#files, fullName)
    if (!(bytes instanceof Uint8Array)) {
      this.#faults.push({
        path,
        message: bytes.message,
        remedy: 'name a file that is there and may be read',
        kind: 'file',
      })
      return undefined
    }
    if (bytes.length > 1 << 20) {
      this.#fault(path, `the file ${fullName} has ${bytes.length} bytes`, 'check that it is the right one')
      return undefined
    }
    const mode = isSecret ? this.#files.fileMode(fullName) : undefined
    if (mode !== undefined && (mode & 0o077) !== 0) {
      const message = `others than its owner may open ${fullName}`
      this.#warnings.push({ path, message, remedy: `chmod 600 ${fullName}` })
    }
    return new TextDecoder().decode(bytes)
  }

  #fault(path: ConfigPath, message: string, remedy: string, atKey = false): void {
    this.#faults.push({ path, message, remedy, ...(atKey ? { atKey } : {}) })
  }
}

/** Fields of a connection, or of its framing (RFC 9110 section 7.6.1): the connector sets them itself. */
const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'expect',
  'host',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

/** RFC 9110 section 5.5, without the octets above 7E: what they mean differs from one server to another. */
function isFieldValue(text: string): boolean {
  return text.length <= MAX_VALUE && /^[\t\x20-\x7e]*$/.test(text)
}
