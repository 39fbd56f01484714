/** Reads the raw document, for checks that span keys. What is missing or does not parse is left out: other faults tell of it. */
import { type Prefix, parsePrefix } from '../../protocol/net.ts'
import type { ConfigPath } from './faults.ts'
import { type Inside, parseInside } from './leaf.ts'

export interface PlacedInside extends Inside {
  readonly path: ConfigPath
}

/** Own properties only: `__proto__` and the like are never followed. */
export function valueAt(root: unknown, path: ConfigPath): unknown {
  let value = root
  for (const part of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, part)) return undefined
    value = (value as Record<string | number, unknown>)[part]
  }
  return value
}

export function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function keysAt(root: unknown, path: ConfigPath): string[] {
  const value = valueAt(root, path)
  return isMapping(value) ? Object.keys(value) : []
}

export function listAt(root: unknown, path: ConfigPath): readonly unknown[] {
  const list = valueAt(root, path)
  return Array.isArray(list) ? list : []
}

export function prefixesAt(root: unknown, path: ConfigPath): Prefix[] {
  return listAt(root, path).flatMap((text) => (typeof text === 'string' ? (parsePrefix(text) ?? []) : []))
}

/** Our addresses inside the tunnel of a peer, each with its network and its place. */
export function insidesOf(root: unknown, peer: string): PlacedInside[] {
  const path = ['peers', peer, 'inside']
  return listAt(root, path).flatMap((text, index) => {
    const inside = typeof text === 'string' ? parseInside(text) : undefined
    return inside === undefined ? [] : [{ ...inside, path: [...path, index] }]
  })
}
