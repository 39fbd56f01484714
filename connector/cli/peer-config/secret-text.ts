/** Keys as text that can be entered. */

/** Printable ASCII. */
export function isText(secret: Uint8Array): boolean {
  return secret.every((byte) => byte >= 0x20 && byte < 0x7f)
}

/** The key itself where it is text, else its octets as `0x...`. */
export function secretText(secret: Uint8Array): string {
  if (isText(secret)) return String.fromCharCode(...secret)
  return `0x${Array.from(secret, (byte) => byte.toString(16).padStart(2, '0')).join('')}`
}
