/** What `kubectl apply -k` would send, as far as tests need it: resources, and the names of what is generated. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse, parseAllDocuments } from 'yaml'

export interface Manifest {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: { readonly name: string }
  readonly spec?: unknown
}

export interface Kustomization {
  readonly manifests: readonly Manifest[]
  /** `ConfigMap/name` and `Secret/name`, with the keys that each gets. */
  readonly generated: ReadonlyMap<string, readonly string[]>
  /** Files that its user has to make first. */
  readonly missing: readonly string[]
}

interface Generator {
  readonly name: string
  readonly files?: readonly string[]
  readonly literals?: readonly string[]
}

interface File {
  readonly resources?: readonly string[]
  readonly configMapGenerator?: readonly Generator[]
  readonly secretGenerator?: readonly Generator[]
}

/** Throws where a resource is not there or is no YAML. */
export function readKustomization(folder: string): Kustomization {
  const file = parse(readFileSync(join(folder, 'kustomization.yaml'), 'utf8')) as File
  const manifests: Manifest[] = []
  const generated = new Map<string, readonly string[]>()
  const missing: string[] = []
  for (const resource of file.resources ?? []) {
    const path = join(folder, resource)
    if (resource.endsWith('.yaml')) manifests.push(...readManifests(path))
    else {
      const below = readKustomization(path)
      manifests.push(...below.manifests)
      missing.push(...below.missing)
      for (const [name, keys] of below.generated) generated.set(name, keys)
    }
  }
  for (const [kind, generators] of [
    ['ConfigMap', file.configMapGenerator ?? []],
    ['Secret', file.secretGenerator ?? []],
  ] as const) {
    for (const { name, files = [], literals = [] } of generators) {
      missing.push(...files.filter((each) => !existsSync(join(folder, each))))
      generated.set(`${kind}/${name}`, [...files, ...literals.map((each) => each.slice(0, each.indexOf('=')))])
    }
  }
  return { manifests, generated, missing }
}

function readManifests(path: string): Manifest[] {
  return parseAllDocuments(readFileSync(path, 'utf8')).map((document) => {
    if (document.errors.length > 0) throw document.errors[0]
    return document.toJS() as Manifest
  })
}
