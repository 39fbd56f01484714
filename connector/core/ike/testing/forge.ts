/** Messages that no honest endpoint sends, sealed with an endpoint's own keys. */
import type { IkeCrypto } from '../crypto.ts'
import { compareBytes } from '../messages.ts'
import { openMessage, sealMessage } from '../protect.ts'
import { isDecodeError } from '../wire/decode-error.ts'
import { decodeMessage, encodeMessage, IKE_MAJOR_VERSION } from '../wire/message.ts'
import type { Payload } from '../wire/types.ts'
import type { Datagram, Name, Pair } from './pair.ts'

/** The next request of `name` on its current IKE SA, with these payloads. The endpoint itself does not know of it. */
export function forgeRequest(
  pair: Pair,
  name: Name,
  crypto: IkeCrypto,
  exchangeType: number,
  payloads: readonly Payload[],
): Datagram {
  const { session } = pair[name].endpoint.connection('peer')!
  const sa = session!.current!
  const { cipher, outbound, ivs } = sa.secrets!
  const header = {
    initiatorSpi: sa.initiatorSpi,
    responderSpi: sa.responderSpi,
    majorVersion: IKE_MAJOR_VERSION,
    minorVersion: 0,
    exchangeType,
    flags: { initiator: sa.role === 'initiator', response: false, version: false },
    messageId: sa.nextRequestId++,
  }
  const maxSize = Number.POSITIVE_INFINITY
  const [bytes] = sealMessage(crypto, { cipher, keys: outbound, ivs, header, payloads, maxSize })
  return { from: name, local: session!.path.local, remote: session!.path.remote, bytes: bytes! }
}

/** As `forgeRequest`, with any bytes in the place of the payload chain. Only for suites with an AEAD. */
export function forgeBytes(
  pair: Pair,
  name: Name,
  crypto: IkeCrypto,
  exchangeType: number,
  firstPayload: number,
  content: Uint8Array,
): Datagram {
  const { session } = pair[name].endpoint.connection('peer')!
  const sa = session!.current!
  const { cipher, outbound, ivs } = sa.secrets!
  const header = {
    initiatorSpi: sa.initiatorSpi,
    responderSpi: sa.responderSpi,
    majorVersion: IKE_MAJOR_VERSION,
    minorVersion: 0,
    exchangeType,
    flags: { initiator: sa.role === 'initiator', response: false, version: false },
    messageId: sa.nextRequestId++,
  }
  const iv = ivs.next()
  const padded = Uint8Array.of(...content, 0)
  const body = new Uint8Array(iv.length + padded.length + 16)
  const bytes = encodeMessage({ header, payloads: [{ type: 'SK', firstPayload, body }] })
  const aad = bytes.subarray(0, bytes.length - body.length)
  bytes.set(crypto.seal(cipher, outbound.skE, outbound.skA, iv, aad, padded), aad.length)
  return { from: name, local: session!.path.local, remote: session!.path.remote, bytes }
}

/** The payloads of a message that is on its way to `name` on its current IKE SA. */
export function reveal(pair: Pair, name: Name, crypto: IkeCrypto, { bytes }: Datagram): readonly Payload[] {
  const { cipher, inbound } = pair[name].endpoint.connection('peer')!.session!.current!.secrets!
  const message = decodeMessage(bytes)
  if (isDecodeError(message)) throw new Error(message.reason)
  const result = openMessage(crypto, { cipher, keys: inbound, bytes, message, fragments: undefined })
  if (result.type !== 'opened') throw new Error('the message does not open')
  return result.payloads
}

/** The same message with other payloads, sealed anew; messages in the clear stay as they are. */
export function rewrite(
  pair: Pair,
  crypto: IkeCrypto,
  datagram: Datagram,
  change: (payloads: readonly Payload[]) => readonly Payload[],
): Datagram {
  const message = decodeMessage(datagram.bytes)
  if (isDecodeError(message)) throw new Error(message.reason)
  const sas = pair[datagram.from].endpoint.connection('peer')!.sessions.flatMap((session) => session.sas)
  const secrets = sas.find((sa) => compareBytes(sa.initiatorSpi, message.header.initiatorSpi) === 0)?.secrets
  if (secrets === undefined || message.payloads[0]?.type !== 'SK') return datagram
  const { cipher, outbound: keys, ivs } = secrets
  const result = openMessage(crypto, { cipher, keys, bytes: datagram.bytes, message, fragments: undefined })
  if (result.type !== 'opened') throw new Error('the message does not open')
  const payloads = change(result.payloads)
  const maxSize = Number.POSITIVE_INFINITY
  const [bytes] = sealMessage(crypto, { cipher, keys, ivs, header: message.header, payloads, maxSize })
  return { ...datagram, bytes: bytes! }
}
