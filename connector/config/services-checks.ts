/** What spans keys of `services.yaml`. Reads the raw document: a typing error somewhere hides no other fault. */
import type { Finding } from './faults.ts'
import { valueAt } from './raw.ts'
import { hostOf, SERVICE_NAME } from './services-schema.ts'

/** Keys that only make sense with some kinds. */
const ONLY_WITH: Readonly<Record<string, readonly Kind[]>> = {
  ports: ['network'],
  hosts: ['http', 'https', 'tcp'],
  headers: ['http', 'https'],
  host_header: ['http', 'https'],
  warm: ['http', 'https'],
  tls: ['https', 'tcp', 'network'],
}

type Kind = 'http' | 'https' | 'tcp' | 'network'

export function checkServices(root: unknown): { faults: Finding[]; warnings: Finding[] } {
  const faults: Finding[] = []
  const warnings: Finding[] = []
  const services = valueAt(root, ['services'])
  const names = typeof services === 'object' && services !== null ? Object.keys(services) : []
  if (names.length === 0 && valueAt(root, ['services']) !== undefined) {
    warnings.push({ path: ['services'], message: 'there is no service', remedy: 'name one, with a target and allow' })
  }
  if (names.length > MAX_SERVICES) {
    const message = `there are ${names.length} services, ${MAX_SERVICES} at most are possible`
    faults.push({ path: ['services'], message, remedy: 'join some of them to networks' })
  }
  for (const name of names) {
    const kind = kindOf(services, name)
    faults.push(...shapeFaults(services, name), ...misplaced(services, name, kind), ...pairFaults(root, name))
    if (valueAt(services, [name, 'allow']) === undefined) {
      const message = 'no function may use it'
      warnings.push({ path: ['services', name], message, remedy: 'add allow: [<function>]' })
    }
  }
  faults.push(...sharedHosts(services, names), ...pairFault(root, ['listen']), ...urlFault(root))
  return { faults, warnings }
}

/** As many as a report to the control plane has room for. */
const MAX_SERVICES = 256

function kindOf(services: unknown, name: string): Kind | undefined {
  const target = valueAt(services, [name, 'target'])
  if (typeof target === 'string') return /^(https?|tcp):/i.exec(target)?.[1]?.toLowerCase() as Kind | undefined
  return valueAt(services, [name, 'networks']) === undefined ? undefined : 'network'
}

function shapeFaults(services: unknown, name: string): Finding[] {
  const section = valueAt(services, [name])
  if (typeof section !== 'object' || section === null || Array.isArray(section)) return []
  const path = ['services', name]
  const [target, networks, ports] = ['target', 'networks', 'ports'].map((key) => valueAt(section, [key]))
  if (target === undefined && networks === undefined) {
    const remedy = 'write target: http://<host>:<port>, or networks and ports'
    return [{ path, message: 'it says of no place where the service is', remedy, atKey: true }]
  }
  if (target !== undefined && networks !== undefined) {
    const message = 'target and networks exclude each other'
    return [{ path: [...path, 'networks'], message, remedy: 'make two services of it', atKey: true }]
  }
  if (networks !== undefined && ports === undefined) {
    return [{ path: [...path, 'networks'], message: 'networks need ports', remedy: 'add ports: [443]', atKey: true }]
  }
  return []
}

function misplaced(services: unknown, name: string, kind: Kind | undefined): Finding[] {
  if (kind === undefined) return []
  return Object.entries(ONLY_WITH).flatMap(([key, kinds]) => {
    if (kinds.includes(kind) || valueAt(services, [name, key]) === undefined) return []
    const message = `${key} does nothing for ${kind === 'network' ? 'networks' : `a target of kind ${kind}`}`
    const remedy = `leave it out; it is for ${kinds.join(', ')}`
    return [{ path: ['services', name, key], message, remedy, atKey: true }]
  })
}

function pairFaults(root: unknown, name: string): Finding[] {
  return pairFault(root, ['services', name, 'tls'])
}

function pairFault(root: unknown, path: readonly string[]): Finding[] {
  const [certificate, key] = ['certificate', 'key'].map((name) => valueAt(root, [...path, name]) !== undefined)
  if (certificate === key) return []
  const [there, missing] = certificate ? ['certificate', 'key'] : ['key', 'certificate']
  const message = `${there} without ${missing} is of no use`
  return [{ path: [...path, there!], message, remedy: `name both, or neither`, atKey: true }]
}

/** Without a certificate nothing tells how the connector is called. */
function urlFault(root: unknown): Finding[] {
  const listen = valueAt(root, ['listen'])
  if (typeof listen !== 'object' || listen === null) return []
  if (valueAt(listen, ['url']) !== undefined || valueAt(listen, ['certificate']) !== undefined) return []
  const message = 'without url and certificate nothing says what functions are to be told'
  return [{ path: ['listen'], message, remedy: 'add url: wss://<name>:<port>/, as it looks from outside', atKey: true }]
}

/** Each name leads to one service. */
function sharedHosts(services: unknown, names: readonly string[]): Finding[] {
  const owner = new Map<string, string>()
  for (const name of names) {
    if (!SERVICE_NAME.test(name) || kindOf(services, name) === 'network') continue
    owner.set(name, name).set(`${name}.internal`, name)
  }
  const faults: Finding[] = []
  for (const name of names) {
    const hosts = valueAt(services, [name, 'hosts'])
    if (!Array.isArray(hosts)) continue
    hosts.forEach((text: unknown, index) => {
      const host = typeof text === 'string' ? hostOf(text) : undefined
      if (host === undefined) return
      const other = owner.get(host)
      owner.set(host, other ?? name)
      if (other === undefined) return
      const message = other === name ? `${host} is a name of this service already` : `${host} leads to ${other} already`
      faults.push({ path: ['services', name, 'hosts', index], message, remedy: 'leave it out at one of the two' })
    })
  }
  return faults
}
