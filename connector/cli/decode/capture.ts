/** Which of the three formats a file has. */
import type { FrameSource } from './frame.ts'
import { readHexLines } from './hex.ts'
import { isPcap, readPcap } from './pcap.ts'
import { isPcapng, readPcapng } from './pcapng.ts'

/** The whole file stands in memory, hence a limit; `editcap -c` splits larger ones. */
export const MAX_FILE_BYTES = 512 * 1024 * 1024

export type Capture =
  | { readonly frames: FrameSource }
  /** Not a capture: cause and remedy. */
  | { readonly refused: string; readonly remedy: string }

/** Looks at the first bytes only. Frames come lazily and are views on `bytes`. */
export function openCapture(bytes: Uint8Array): Capture {
  if (bytes.length > MAX_FILE_BYTES) {
    return { refused: 'it is larger than 512 MiB', remedy: 'Split it, for example with editcap -c 100000.' }
  }
  if (bytes.length === 0) return { refused: 'it is empty', remedy: 'Give a pcap or pcapng file or lines of hex.' }
  if (isPcap(bytes)) return { frames: readPcap(bytes) }
  if (isPcapng(bytes)) return { frames: readPcapng(bytes) }
  if (bytes[0] === 0x1f && bytes[1] === 0x8b) {
    return { refused: 'it is compressed', remedy: 'Unpack it first, for example with gunzip.' }
  }
  if (looksLikeHex(bytes)) return { frames: readHexLines(bytes) }
  return {
    refused: 'it is neither pcap, pcapng nor lines of hex',
    remedy: 'Capture with tcpdump -w, or convert it with editcap -F pcapng.',
  }
}

/** True when the first line that is neither blank nor a comment consists of hex, perhaps behind two endpoints. */
function looksLikeHex(bytes: Uint8Array): boolean {
  const head = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, 256 * 1024)).toString('latin1')
  const first = head.split('\n').find((line) => !/^\s*(#.*)?$/.test(line))
  if (first === undefined) return bytes.length <= head.length
  return /^\s*(\S+\s*>\s*\S+\s+)?(0x)?[0-9a-f][0-9a-f\s:]*(#.*)?$/i.test(first)
}
