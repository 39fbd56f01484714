/** Human spellings of durations, sizes and ports, both ways. Every parser is total: undefined for what it cannot read. */

const DURATION_UNITS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const
const SIZE_UNITS = {
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
} as const

/** Milliseconds of `500ms`, `5s`, `50m`, `8h`, `1d` or a sum such as `1h30m`. */
export function parseDuration(text: string): number | undefined {
  if (text.length > 32 || !/^(\d+(\.\d+)?(ms|s|m|h|d))+$/.test(text)) return undefined
  let total = 0
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)) {
    total += Number(amount) * DURATION_UNITS[unit as keyof typeof DURATION_UNITS]
  }
  return Number.isFinite(total) ? Math.round(total) : undefined
}

/** The two largest units that say something: `2d 3h`, `1h 30m`, `12.3s`, `250ms`. */
export function formatDuration(ms: number): string {
  if (ms < 1000) return `${Math.max(0, Math.round(ms))}ms`
  if (ms < 60_000) return `${trimZero((Math.floor(ms / 100) / 10).toFixed(1))}s`
  const steps: [string, number][] = [
    ['d', DURATION_UNITS.d],
    ['h', DURATION_UNITS.h],
    ['m', DURATION_UNITS.m],
    ['s', DURATION_UNITS.s],
  ]
  const first = steps.findIndex(([, size]) => ms >= size)
  const [unit, size] = steps[first]!
  const head = `${Math.floor(ms / size)}${unit}`
  const next = steps[first + 1]
  const rest = next === undefined ? 0 : Math.floor((ms % size) / next[1])
  return rest === 0 ? head : `${head} ${rest}${next![0]}`
}

/** Bytes of `512B`, `64KB`, `10GiB` and the like: KB is 1,000 and KiB is 1,024. */
export function parseSize(text: string): number | undefined {
  const match = /^(\d{1,15}(?:\.\d{1,6})?) ?([KMGT]?i?B)$/.exec(text)
  const factor = match === null ? undefined : SIZE_UNITS[match[2] as keyof typeof SIZE_UNITS]
  if (match === null || factor === undefined) return undefined
  const bytes = Math.round(Number(match[1]) * factor)
  return Number.isSafeInteger(bytes) ? bytes : undefined
}

/** `0 B`, `1.5 KB`, `12.3 GB`: powers of 1,000. */
export function formatSize(bytes: number): string {
  const units = ['B', 'KB', 'MB', 'GB', 'TB', 'PB']
  let value = bytes
  let unit = 0
  while (value >= 999.95 && unit < units.length - 1) {
    value /= 1000
    unit++
  }
  return `${unit === 0 ? value : trimZero(value.toFixed(1))} ${units[unit]}`
}

/** `443` or `8000-8010`, inclusive. */
export function parsePorts(text: string): { start: number; end: number } | undefined {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text)
  if (match === null) return undefined
  const start = Number(match[1])
  const end = match[2] === undefined ? start : Number(match[2])
  return start <= end && end <= 65_535 ? { start, end } : undefined
}

function trimZero(text: string): string {
  return text.endsWith('.0') ? text.slice(0, -2) : text
}
