/**
 * AEAD_CHACHA20_POLY1305 (RFC 8439 section 2.8) of one long text. Poly1305 runs inside the ChaCha20 kernel, one run
 * behind it: over the ciphertext that the run before has made, or has taken from.
 */
import { equal16, loadPartial } from './bytes'
import { forgetKeys, forgetLanes, LANES, MAX_STEPS, moveLane, runLanes, setAllLanes, setLane, stepBlocks, ZEROS } from './chacha20-lanes'
import { POLY1305_STATE_BYTES, poly1305Blocks, poly1305Finish, poly1305Init, poly1305Wipe } from './poly1305'

/** What may be written behind a text: the kernel makes whole blocks. */
export const SLACK: u32 = 64

const ONE_TIME: usize = memory.data(64, 16)
const POLY: usize = memory.data(POLY1305_STATE_BYTES, 16)
const PARTIAL: usize = memory.data(16, 16)
const TAG: usize = memory.data(16, 16)

/** Seals the text in place and puts the tag behind it. In front of `text` there are 64 bytes, which stay. */
export function sealText(key: usize, nonce: usize, ad: usize, adLength: u32, text: usize, length: u32): void {
  crypt(key, nonce, ad, adLength, text, text, text, length)
  poly1305Finish(POLY, text + length)
}

/** Opens `src`, the tag behind it, to `dst`. Returns false, with `dst` erased, where the tag does not fit. */
export function openText(key: usize, nonce: usize, ad: usize, adLength: u32, src: usize, dst: usize, length: u32): bool {
  crypt(key, nonce, ad, adLength, src, dst, src, length)
  poly1305Finish(POLY, TAG)
  const fits = equal16(TAG, src + length)
  if (!fits) memory.fill(dst, 0, length)
  return fits
}

/** REKEY of the Noise specification, section 4.2: the first half of block 1 under the nonce 2^64 - 1 replaces the key. */
export function rekey(key: usize): void {
  store<u32>(PARTIAL, 0)
  store<u64>(PARTIAL, u64.MAX_VALUE, 4)
  forgetKeys()
  setLane(0, key, PARTIAL, 1, ZEROS, ONE_TIME)
  runLanes(1)
  memory.copy(key, ONE_TIME, 32)
  forgetText()
}

/** Erases one-time key, key stream and accumulator of the last text. */
export function forgetText(): void {
  memory.fill(ONE_TIME, 0, 64)
  memory.fill(PARTIAL, 0, 16)
  memory.fill(TAG, 0, 16)
  poly1305Wipe(POLY)
  forgetLanes()
}

/** XORs the key stream into `src` and leaves in POLY all that the tag is over, of which `ciphertext` is the text. */
function crypt(
  key: usize, nonce: usize, ad: usize, adLength: u32, src: usize, dst: usize, ciphertext: usize, length: u32,
): void {
  const blocks = (length + 63) >> 6
  forgetKeys()
  setAllLanes(key, nonce, 0, src - 64, dst - 64)
  moveLane(0, ZEROS, ONE_TIME)
  runLanes(min(blocks + 1, LANES))
  poly1305Init(POLY, ONE_TIME)
  absorbPadded(ad, adLength)
  let hashed: usize = 0
  for (let block: u32 = LANES; block <= blocks; block += LANES) {
    const at = <usize>(block - 1) << 6
    setAllLanes(key, nonce, block, src + at, dst + at)
    const used = min(blocks - block + 1, LANES)
    const steps = min(<u32>((at - hashed) >> 4) / stepBlocks(used), MAX_STEPS)
    runLanes(used, POLY, ciphertext + hashed, steps)
    hashed += <usize>(steps * stepBlocks(used)) << 4
  }
  absorbPadded(ciphertext + hashed, length - <u32>hashed)
  store<u64>(PARTIAL, u64(adLength))
  store<u64>(PARTIAL, u64(length), 8)
  poly1305Blocks(POLY, PARTIAL, 1)
}

function absorbPadded(from: usize, length: u32): void {
  const whole = length >> 4
  const rest = length & 15
  if (whole > 0) poly1305Blocks(POLY, from, whole)
  if (rest == 0) return
  v128.store(PARTIAL, loadPartial(from + (<usize>whole << 4), rest))
  poly1305Blocks(POLY, PARTIAL, 1)
}
