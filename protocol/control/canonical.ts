/**
 * One text for one JSON value (RFC 8785 for the values that occur here): keys sorted by UTF-16 code units, nothing
 * between them. What JSON cannot say is treated as `JSON.stringify` does, so that a value hashes alike before and
 * after it was stored.
 */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map((item) => canonicalJson(item)).join(',')}]`
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value)
      .filter(([, item]) => item !== undefined)
      .sort(([left], [right]) => (left < right ? -1 : 1))
    return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${canonicalJson(item)}`).join(',')}}`
  }
  return JSON.stringify(value) ?? 'null'
}

/** Whether both have the same canonical text, without writing it. */
export function sameJson(left: unknown, right: unknown): boolean {
  if (left === right) return true
  if (Array.isArray(left) && Array.isArray(right)) {
    return left.length === right.length && left.every((item, index) => sameJson(item, right[index]))
  }
  if (isRecord(left) && isRecord(right)) {
    const names = definedNames(left)
    if (names.length !== definedNames(right).length) return false
    return names.every((name) => right[name] !== undefined && sameJson(left[name], right[name]))
  }
  return canonicalJson(left) === canonicalJson(right)
}

function definedNames(value: Readonly<Record<string, unknown>>): string[] {
  return Object.keys(value).filter((name) => value[name] !== undefined)
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
