/** What every entry exports besides `site`. */

export type { Retry, StreamProblemCode } from '../protocol/stream-problem.ts'
export type {
  Site,
  SiteOptions,
  SiteSocket,
  SocketAddress,
  SocketInfo,
  SocketOptions,
  Timeouts,
  TlsOptions,
} from './sdk/api.ts'
export { IsthmusError } from './sdk/error.ts'
