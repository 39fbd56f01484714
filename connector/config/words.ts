/** Names of numbers in IP headers, and shares. Every parser is total: undefined for what it cannot read. */

const PROTOCOLS: Readonly<Record<string, number>> = {
  icmp: 1,
  tcp: 6,
  udp: 17,
  gre: 47,
  esp: 50,
  ah: 51,
  icmpv6: 58,
  ospf: 89,
  sctp: 132,
}

/** RFC 3246, 5865, 8622; the classes of RFC 2474 and 2597 follow below. */
const CODE_POINTS: Readonly<Record<string, number>> = { be: 0, default: 0, le: 1, va: 44, ef: 46 }

/** Those that have ports. */
export const WITH_PORTS: readonly number[] = [6, 17, 132]

/** 0 to 255. */
export function parseProtocol(text: string): number | undefined {
  const name = text.toLowerCase()
  return Object.hasOwn(PROTOCOLS, name) ? PROTOCOLS[name] : numberUpTo(text, 255)
}

/** 0 to 63: `ef`, `af41`, `cs5` or a number. */
export function parseDscp(text: string): number | undefined {
  const name = text.toLowerCase()
  if (Object.hasOwn(CODE_POINTS, name)) return CODE_POINTS[name]
  const [, selector] = /^cs([0-7])$/.exec(name) ?? []
  if (selector !== undefined) return Number(selector) * 8
  const [, forwarding, precedence] = /^af([1-4])([1-3])$/.exec(name) ?? []
  if (forwarding !== undefined) return Number(forwarding) * 8 + Number(precedence) * 2
  return numberUpTo(text, 63)
}

/** `2%` is 0.02. */
export function parsePercent(text: string): number | undefined {
  const [, number] = /^(\d{1,3}(?:\.\d{1,3})?) ?%$/.exec(text) ?? []
  return number === undefined ? undefined : Number(number) / 100
}

function numberUpTo(text: string, most: number): number | undefined {
  const number = /^\d{1,3}$/.test(text) ? Number(text) : most + 1
  return number <= most ? number : undefined
}
