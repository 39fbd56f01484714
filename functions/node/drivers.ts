/** Options of drivers, by which they connect through a site and are otherwise as ever. */
import type { Site, SocketAddress, SocketOptions } from '../sdk/api.ts'
import { duplexes, type SocketDuplex } from './duplex.ts'

/**
 * For `pg`: `new Pool({ ...pgOptions(erp, 'db.internal:5432'), user, password, database })`. `ssl` of the driver is
 * end to end with the database; without it `{ secureTransport: 'on' }` has the connector speak TLS.
 */
export function pgOptions(
  site: Site,
  address: SocketAddress | string,
  options?: SocketOptions,
): { stream: () => SocketDuplex } {
  return { stream: duplexes(site, address, options) }
}

/** For `mysql2`: `createConnection({ ...mysqlOptions(erp, 'db.internal:3306'), user, password, database })`. */
export const mysqlOptions: typeof pgOptions = pgOptions

/**
 * For `ioredis`: `new Redis({ ...ioredisOptions(erp, 'cache.internal:6379') })`. The type that it asks of a Connector
 * has protected members, which only its own class can have: hence `never`, which fits everywhere.
 */
export function ioredisOptions(
  site: Site,
  address: SocketAddress | string,
  options?: SocketOptions,
): { Connector: never } {
  const open = duplexes(site, address, options)
  class Connector {
    connecting = false
    #stream: SocketDuplex | undefined

    check(): boolean {
      return true
    }

    async connect(): Promise<SocketDuplex> {
      this.connecting = true
      this.#stream = open()
      return this.#stream
    }

    disconnect(): void {
      this.connecting = false
      this.#stream?.end()
    }
  }
  return { Connector: Connector as never }
}
