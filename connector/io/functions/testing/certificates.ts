/** A private authority and certificates of its, made by the `openssl` program: for tests. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface Issued {
  readonly certificate: string
  readonly key: string
}

export interface Authority {
  /** PEM of the authority. */
  readonly ca: string
  /** `names`: like `DNS:erp.internal,IP:127.0.0.1`. `days`: may be negative, for one that has expired. */
  issue(names: string, days?: number): Issued
  remove(): void
}

/**
 * For `describe.skipIf(...)`: true when there is no `openssl`, after saying so. With CI=true it throws instead, because
 * in CI nothing may skip.
 */
export function skipWithoutOpenssl(what: string): boolean {
  try {
    execFileSync('openssl', ['version'], { stdio: 'ignore' })
    return false
  } catch {
    const message = `${what} needs the program openssl, which is not installed here`
    if (process.env.CI === 'true') throw new Error(message)
    process.stderr.write(`skipped: ${message}\n`)
    return true
  }
}

export function makeAuthority(name = 'Test CA'): Authority {
  const directory = mkdtempSync(join(tmpdir(), 'isthmus-ca-'))
  const at = (file: string) => join(directory, file)
  const openssl = (...words: string[]) => execFileSync('openssl', words, { cwd: directory, stdio: 'pipe' })
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
  openssl('req', '-x509', ...curve, '-keyout', 'ca.key', '-out', 'ca.pem', '-days', '30', '-subj', `/CN=${name}`)
  let serial = 0
  return {
    ca: readFileSync(at('ca.pem'), 'utf8'),
    issue(names, days = 30) {
      const base = `leaf${++serial}`
      writeFileSync(at(`${base}.ext`), `subjectAltName=${names}\n`)
      openssl('req', ...curve, '-keyout', `${base}.key`, '-out', `${base}.csr`, '-subj', `/CN=${base}`)
      const ca = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-set_serial', String(serial), '-extfile', `${base}.ext`]
      openssl('x509', '-req', '-in', `${base}.csr`, '-out', `${base}.pem`, ...ca, '-days', `${days}`)
      return { certificate: readFileSync(at(`${base}.pem`), 'utf8'), key: readFileSync(at(`${base}.key`), 'utf8') }
    },
    remove: () => rmSync(directory, { recursive: true, force: true }),
  }
}
