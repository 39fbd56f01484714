/** What the services tell the links, and ask them. Nothing of it is awaited: a link catches up by versions. */
export interface Hub {
  /** The documents of these connectors have new versions. */
  changed(network: string, connectors: readonly string[] | 'all'): void
  /** The connector is cut off: its link ends with `bye revoked`. */
  revoked(network: string, connector: string): void
  /** The function is cut off: what a relay has joined for it ends. */
  functionRevoked(network: string, functionId: string): void
  /** These connectors are to say how they are, as soon as they can. */
  asked(network: string, connectors: readonly string[]): void
  /** Whether the connector has a link at this moment. */
  linked(network: string, connector: string): boolean
}

/** For where there are no links: connectors ask by plain HTTP. */
export const NO_HUB: Hub = { changed() {}, revoked() {}, functionRevoked() {}, asked() {}, linked: () => false }
