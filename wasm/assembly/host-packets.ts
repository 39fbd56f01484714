/**
 * AES-GCM packets that the host seals or opens whole: long ones, for which that is faster than encrypting the blocks of
 * all of a batch together. The host does its work between the two halves of a batch call, as in key-stream.ts.
 */
import { OUTBOX, SUITE_AES_128_GCM, SUITE_AES_256_GCM } from '../abi'
import { AeadJob, jobAt, jobNonce } from './aead-jobs'

/** Not done: the engine does it. */
const OPEN: u32 = 0
const DONE: u32 = 1

/** 64 bytes. The host reads all but `outcome`. */
@unmanaged
class HostPacket {
  /** Of the SA. */
  handle: u32
  /** The text; of a packet to be opened the tag is behind it at `src`, of one that is sealed it goes behind `dst`. */
  src: u32
  dst: u32
  length: u32
  aadLength: u32
  /** DONE: sealed, or verified and decrypted. Of a packet that does not verify, 2, and nothing at `dst`. */
  outcome: u32
  reserved: u64
  aadFirst: u64
  aadSecond: u64
  salt: u32
  ivHigh: u32
  ivLow: u32
}

/** How many packets there are for the host; each of them from byte 64 on. */
export const HOST_PACKETS: usize = memory.data(64 + OUTBOX * 64, 64)

/** Bytes of text from which on the host takes a packet of a suite, 0 for never; by SUITE_ number. */
const LEAST: usize = memory.data(16, 16)

export function setHostPackets(aes128: u32, aes256: u32): void {
  store<u32>(LEAST + (SUITE_AES_128_GCM << 2), aes128)
  store<u32>(LEAST + (SUITE_AES_256_GCM << 2), aes256)
}

// @ts-ignore: decorator
@inline
function packetAt(index: u32): HostPacket {
  return changetype<HostPacket>(HOST_PACKETS + 64 + (<usize>index << 6))
}

/** Names the long ones of jobs 0 to `end - 1`. Returns whether there are any. */
export function layOutPackets(end: u32): bool {
  store<u32>(HOST_PACKETS, 0)
  for (let i: u32 = 0; i < end; i++) {
    const job = jobAt(i)
    const least = load<u32>(LEAST + (<usize>job.suite << 2))
    if (least != 0 && job.length >= least) putPacket(job)
  }
  return load<u32>(HOST_PACKETS) != 0
}

function putPacket(job: AeadJob): void {
  const index = load<u32>(HOST_PACKETS)
  if (index == <u32>OUTBOX) return
  store<u32>(HOST_PACKETS, index + 1)
  const packet = packetAt(index)
  packet.handle = job.handle
  packet.src = <u32>job.src
  packet.dst = <u32>job.dst
  packet.length = job.length
  packet.aadLength = job.aadLength
  packet.outcome = OPEN
  packet.aadFirst = job.aadFirst
  packet.aadSecond = job.aadSecond
  memory.copy(changetype<usize>(packet) + offsetof<HostPacket>('salt'), jobNonce(job), 12)
  job.hostPacket = index + 1
}

/** When the host has been here: what it has not done is no longer its. */
export function takeOutcomes(end: u32): void {
  if (load<u32>(HOST_PACKETS) == 0) return
  for (let i: u32 = 0; i < end; i++) {
    const job = jobAt(i)
    if (job.hostPacket == 0) continue
    const outcome = packetAt(job.hostPacket - 1).outcome
    job.verified = outcome == DONE
    if (outcome == OPEN) job.hostPacket = 0
  }
}
