/**
 * Reads `services.yaml`: all faults at once, each with file, line, column, cause and remedy, or the plan that it means.
 * The keys are described in `services-schema.ts`, from which docs/services.md and the JSON Schema are made.
 */
import { dirname, resolve } from 'node:path'
import { z } from 'zod'
import type { ListenPlan, ServicePlan, ServicesPlan } from '../core/functions/plan.ts'
import type { ConfigFault, Finding } from './faults.ts'
import { findingsOf } from './issues.ts'
import { keysIn, type SchemaNode } from './keys.ts'
import { placed, readText } from './read.ts'
import type { SecretSource } from './secret.ts'
import { checkServices } from './services-checks.ts'
import { type Material, readMaterial } from './services-material.ts'
import { type ServiceConfig, type ServicesConfig, servicesSchema } from './services-schema.ts'
import { readSource } from './source.ts'

export interface LoadedServices {
  readonly plan: ServicesPlan
  readonly warnings: readonly ConfigFault[]
}

let cached: SchemaNode | undefined

export function servicesJsonSchema(): SchemaNode {
  cached ??= z.toJSONSchema(servicesSchema, { io: 'input' }) as SchemaNode
  return cached
}

/**
 * Never throws. `path` appears in the faults as given. `files`: every file that was looked at, with full names, also
 * where there are faults; a change of one of them is a reason to read again.
 */
export function loadServices(
  path: string,
  files: SecretSource,
): (LoadedServices | { readonly faults: readonly ConfigFault[] }) & { readonly files: readonly string[] } {
  const seen = [resolve(path)]
  const text = readText(path, files, 'docs/services.md shows a short one')
  if (typeof text !== 'string') return { faults: [text], files: seen }
  const source = readSource(path, text)
  if (source.faults.length > 0) return { faults: source.faults, files: seen }
  const parsed = servicesSchema.safeParse(source.value ?? {})
  const across = checkServices(source.value)
  const material = readMaterial(source.value, dirname(resolve(path)), files)
  seen.push(...material.files)
  const found: Finding[] = [
    ...(parsed.success
      ? []
      : findingsOf(parsed.error.issues, source.value, (at) => keysIn(servicesJsonSchema(), at)).map(unseen)),
    ...across.faults,
    ...material.faults,
  ]
  if (!parsed.success || found.length > 0) return { faults: placed(source, found), files: seen }
  const warnings = placed(source, [...across.warnings, ...material.warnings])
  return { plan: planOf(parsed.data, material), warnings, files: seen }
}

/** What stands at a header is a secret, mostly: no fault repeats it. */
function unseen(finding: Finding): Finding {
  if (!finding.path.includes('headers') || finding.path.at(-1) === 'headers') return finding
  const message = finding.atKey ? finding.message : 'the value of a header is text, { file: <path> } or { env: <NAME> }'
  return { ...finding, message }
}

function planOf({ services, listen, limits }: ServicesConfig, material: Material): ServicesPlan {
  const listening = listen === undefined ? undefined : listenPlan(listen, material)
  return {
    services: Object.entries(services).map(([name, service]) => servicePlan(name, service, material)),
    ...(listening === undefined ? {} : { listen: listening }),
    limits: {
      sessions: limits.sessions,
      sessionsPerFunction: limits.sessions_per_function,
      handshakes: limits.handshakes,
      streams: limits.streams,
      streamsPerSession: limits.streams_per_session,
      streamsPerSecond: limits.streams_per_second,
      memory: limits.memory,
    },
  }
}

function listenPlan({ address, port, url }: NonNullable<ServicesConfig['listen']>, material: Material): ListenPlan {
  const certificate = material.texts.get('listen.certificate')
  const key = material.texts.get('listen.key')
  const tls = certificate === undefined || key === undefined ? undefined : { certificate, key }
  const told = url ?? `wss://${material.listenName}:${port}/`
  return { address, port, url: told, ...(tls === undefined ? {} : { tls }) }
}

function servicePlan(name: string, service: ServiceConfig, material: Material): ServicePlan {
  const { target, networks, ports, allow, hosts, host_header, timeouts, max_connections, warm } = service
  const base = {
    name,
    allow: allow ?? [],
    timeouts,
    maxConnections: max_connections,
    tls: tlsOf(name, service, material),
  }
  if (target === undefined) return { ...base, kind: 'network', networks: networks ?? [], ports: ports ?? [] }
  return {
    ...base,
    ...target,
    hosts: hosts ?? [],
    headers: material.headers.get(name) ?? [],
    ...(host_header === undefined ? {} : { hostHeader: host_header }),
    warm: warm ?? (target.kind === 'tcp' ? 0 : 1),
  }
}

function tlsOf(name: string, { tls }: ServiceConfig, { texts }: Material): ServicePlan['tls'] {
  const [ca, certificate, key] = ['ca', 'certificate', 'key'].map((part) => texts.get(`services.${name}.tls.${part}`))
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(certificate === undefined ? {} : { certificate }),
    ...(key === undefined ? {} : { key }),
    ...(tls.server_name === undefined ? {} : { serverName: tls.server_name }),
  }
}
