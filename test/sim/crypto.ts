/**
 * IKE's cryptography for the simulated world: real PRFs and ciphers, but key exchanges that take their secrets from
 * the seed, so that every octet replays. The exchange itself is a toy that anyone could break.
 */
import { createHash } from 'node:crypto'
import type { IkeCrypto, KeyExchange } from '../../connector/core/ike/crypto.ts'
import { nodeCrypto } from '../../connector/io/crypto-node.ts'
import type { RandomBytes } from '../../protocol/machine.ts'

const PUBLIC_BYTES = 32

export function simulatedCrypto(random: RandomBytes): IkeCrypto {
  return { ...bound(nodeCrypto), generate: () => toyExchange(random(PUBLIC_BYTES)) }
}

function toyExchange(publicValue: Uint8Array): KeyExchange {
  return {
    publicValue,
    complete: (peerValue) => {
      if (peerValue.length !== PUBLIC_BYTES) return undefined
      const [low, high] =
        Buffer.compare(publicValue, peerValue) < 0 ? [publicValue, peerValue] : [peerValue, publicValue]
      return new Uint8Array(createHash('sha256').update(low).update(high).digest())
    },
  }
}

/** Methods of a class instance survive the spread only when they are taken by name. */
function bound(crypto: IkeCrypto): IkeCrypto {
  return {
    prf: (...args) => crypto.prf(...args),
    sha1: (...args) => crypto.sha1(...args),
    generate: (group) => crypto.generate(group),
    seal: (...args) => crypto.seal(...args),
    open: (...args) => crypto.open(...args),
    equal: (...args) => crypto.equal(...args),
  }
}
