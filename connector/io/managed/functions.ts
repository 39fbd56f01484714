/** A managed connector's part for functions: who it is for them, and what it knows by the control plane. */
import { toBase64url } from '../../../protocol/control/base64url.ts'
import type { ConnectorDocument } from '../../../protocol/control/document.ts'
import { loadStreamAead } from '../../../wasm/stream-aead-node.ts'
import { nodeStreamCrypto } from '../../../wasm/stream-crypto-node.ts'
import type { ConnectorEvent } from '../../handle.ts'
import { type Enrollment, type Identity, openStreamKey } from '../../store/enrollment.ts'
import { FunctionHost } from '../functions/host.ts'
import type { ControlClient } from './control-client.ts'
import { signPayload } from './signatures.ts'

export interface FunctionsOptions {
  readonly enrollment: Enrollment
  readonly services: { readonly path: string; readonly named: boolean }
  readonly identity: Identity
  readonly client: ControlClient
  readonly directory: string
  readonly document: () => ConnectorDocument | undefined
  /** TCP ports on which this process listens besides. */
  readonly ownPorts?: readonly number[]
  readonly onEvent: (event: ConnectorEvent) => void
  readonly onReport: () => void
}

/** Rejects with a StartFailure where the key cannot be read or made. */
export async function startFunctions(options: FunctionsOptions): Promise<FunctionHost> {
  const { enrollment, identity, client, document } = options
  const { network, connector, site } = enrollment
  const streamKeys = openStreamKey(options.directory)
  const key = toBase64url(streamKeys.publicKey)
  const url = new URL(client.relayPath, enrollment.url)
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:'
  const host = new FunctionHost({
    services: options.services,
    network,
    connector,
    site: () => document()?.site.name ?? site,
    tokenKeys: () => document()?.functions?.tokenKeys ?? [],
    controlTime: () => client.controlTime(),
    crypto: nodeStreamCrypto(loadStreamAead()),
    streamKeys,
    streamKeyJws: await signPayload(identity, { use: 'isthmus-stream-key', network, connector, key }),
    relay: { url, authorize: () => client.authorizeRelay() },
    ownPorts: options.ownPorts ?? [],
    onEvent: options.onEvent,
    onReport: options.onReport,
  })
  await host.start()
  return host
}
