import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { DaemonSet } from 'kubernetes-models/apps/v1/DaemonSet'
import { Deployment } from 'kubernetes-models/apps/v1/Deployment'
import { NetworkPolicy } from 'kubernetes-models/networking.k8s.io/v1/NetworkPolicy'
import { PodDisruptionBudget } from 'kubernetes-models/policy/v1/PodDisruptionBudget'
import { Namespace } from 'kubernetes-models/v1/Namespace'
import { PersistentVolumeClaim } from 'kubernetes-models/v1/PersistentVolumeClaim'
import type { PodSpec } from 'kubernetes-models/v1/PodSpec'
import { ServiceAccount } from 'kubernetes-models/v1/ServiceAccount'
import { describe, expect, test } from 'vitest'
import { loadConfig } from '../../../connector/config.ts'
import { readUnit, wordsOf } from '../systemd/unit-file.ts'
import { type Manifest, readKustomization } from './manifests.ts'

const here = import.meta.dirname
const root = resolve(here, '../../..')
const KINDS = [
  DaemonSet,
  Deployment,
  NetworkPolicy,
  PodDisruptionBudget,
  Namespace,
  PersistentVolumeClaim,
  ServiceAccount,
] as const

/** Throws where the manifest is none of its kind. */
function validate(manifest: Manifest): void {
  const Kind = KINDS.find((each) => each.is(manifest))
  if (Kind === undefined) throw new Error(`no schema of ${manifest.apiVersion} ${manifest.kind}`)
  ;new (Kind as new (data: unknown) => { validate(): void })(manifest).validate()
}

function podOf({ spec }: Manifest): PodSpec {
  return (spec as { template: { spec: PodSpec } }).template.spec
}

const hasPods = ({ kind }: Manifest) => kind === 'Deployment' || kind === 'DaemonSet'

describe.each([
  ['by-file', ['site.key']],
  ['managed', []],
])('%s', (folder, missing) => {
  const kustomization = readKustomization(join(here, folder))
  const { manifests, generated } = kustomization
  const pods = manifests.filter(hasPods).map((manifest) => ({ name: manifest.metadata.name, pod: podOf(manifest) }))
  const connector = podOf(manifests.find(({ kind }) => kind === 'Deployment')!)

  test('is made of manifests that fit the schemas of their kinds', () => {
    expect(manifests.length).toBeGreaterThanOrEqual(6)
    for (const manifest of manifests) expect(() => validate(manifest)).not.toThrow()
  })

  test('needs of its user what its README says', () => {
    expect(kustomization.missing).toEqual(missing)
  })

  test('mounts what it has, and has what it mounts', () => {
    // Made by hand, as the README says.
    const byHand = ['Secret/isthmus-join']
    for (const { pod } of pods) {
      const containers = [...pod.containers, ...(pod.initContainers ?? [])]
      const mounted = containers.flatMap(({ volumeMounts }) => volumeMounts ?? []).map(({ name }) => name)
      expect(new Set(mounted)).toEqual(new Set(pod.volumes?.map(({ name }) => name)))
      const wanted = [
        ...(pod.volumes ?? []).flatMap(({ configMap, secret, persistentVolumeClaim: claim }) => [
          configMap && `ConfigMap/${configMap.name}`,
          secret && `Secret/${secret.secretName}`,
          claim && `PersistentVolumeClaim/${claim.claimName}`,
        ]),
        ...containers.flatMap(({ envFrom = [] }) => envFrom.map((each) => `ConfigMap/${each.configMapRef?.name}`)),
        ...containers.flatMap(({ env = [] }) => env.map(({ valueFrom }) => `Secret/${valueFrom?.secretKeyRef?.name}`)),
        `ServiceAccount/${pod.serviceAccountName}`,
      ].filter((name) => name !== undefined)
      const there = [
        ...generated.keys(),
        ...byHand,
        ...manifests.map(({ kind, metadata }) => `${kind}/${metadata.name}`),
      ]
      expect(wanted.filter((name) => !there.includes(name))).toEqual([])
    }
  })

  test('runs as nobody, with no capability that it does not need, and without a token of the cluster', () => {
    const unit = readUnit(readFileSync(join(root, 'infra/connector/systemd/isthmus.service'), 'utf8'))
    const all = wordsOf(unit, 'Service.CapabilityBoundingSet').map((name) => name.replace(/^CAP_/, ''))
    const allowed = { connector: all, routes: ['NET_ADMIN'], join: undefined } as Readonly<Record<string, unknown>>
    for (const { pod } of pods) {
      expect(pod.automountServiceAccountToken).toBe(false)
      expect(pod.securityContext).toMatchObject({ runAsNonRoot: true, runAsUser: 65532 })
      expect(pod.securityContext?.seccompProfile).toEqual({ type: 'RuntimeDefault' })
      for (const { name, securityContext } of [...pod.containers, ...(pod.initContainers ?? [])]) {
        expect(securityContext?.capabilities?.drop).toEqual(['ALL'])
        expect(securityContext?.capabilities?.add).toEqual(allowed[name])
        expect(securityContext?.readOnlyRootFilesystem).toBe(true)
        expect(securityContext?.privileged).toBeUndefined()
      }
    }
    expect(manifests.filter(({ kind }) => /Role/.test(kind))).toEqual([])
  })

  test('is found by its own selectors, and stands on one node', () => {
    for (const manifest of manifests.filter(hasPods)) {
      const { selector, template } = manifest.spec as {
        selector: { matchLabels: object }
        template: { metadata: { labels: object } }
      }
      expect(template.metadata.labels).toMatchObject(selector.matchLabels)
    }
    const budget = manifests.find(({ kind }) => kind === 'PodDisruptionBudget')!
    const deployment = manifests.find(({ kind }) => kind === 'Deployment')!
    const selectorOf = ({ spec }: Manifest) => (spec as { selector: unknown }).selector
    expect(selectorOf(budget)).toEqual(selectorOf(deployment))
    expect(deployment.spec).toMatchObject({ replicas: 1, strategy: { type: 'Recreate' } })
    expect(connector.nodeSelector).toEqual({ 'isthmus/gateway': 'true' })
  })

  test('asks for health where the connector tells it', () => {
    const [{ livenessProbe, startupProbe, readinessProbe }] = connector.containers as [PodSpec['containers'][number]]
    const port = { host: '127.0.0.1', port: 9700 }
    expect(livenessProbe?.httpGet).toEqual({ ...port, path: '/healthz' })
    expect(startupProbe?.httpGet).toEqual({ ...port, path: '/healthz' })
    expect(readinessProbe?.httpGet).toEqual({ ...port, path: '/readyz' })
  })
})

test('the configuration has no fault, with a key in place', () => {
  const folder = mkdtempSync(join(tmpdir(), 'isthmus-kubernetes-'))
  try {
    const key = join(folder, 'site.key')
    writeFileSync(key, 'correct horse battery staple, and more of it', { mode: 0o600 })
    const text = readFileSync(join(here, 'by-file/isthmus.yaml'), 'utf8')
    writeFileSync(join(folder, 'isthmus.yaml'), text.replace('/etc/isthmus-keys/site.key', key))
    const loaded = loadConfig(join(folder, 'isthmus.yaml'))
    expect(loaded).not.toHaveProperty('faults')
    expect(loaded).toMatchObject({ warnings: [] })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})

test('a manifest that its schema refuses does not pass', () => {
  const { manifests } = readKustomization(join(here, 'managed'))
  const deployment = manifests.find(({ kind }) => kind === 'Deployment')!
  const spec = deployment.spec as object
  expect(() => validate({ ...deployment, spec: { ...spec, replicas: 'one' } } as Manifest)).toThrow()
  expect(() => validate({ ...deployment, kind: 'Deploymnt' })).toThrow('no schema')
})
