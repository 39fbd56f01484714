/** Which of the three formats a file has. */
import type { FrameSource } from './frame.ts'
import { isHexLines, readHexLines } from './hex.ts'
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
    return { refused: 'it is larger than 512 MiB', remedy: 'split it, for example with editcap -c 100000.' }
  }
  if (bytes.length === 0) return { refused: 'it is empty', remedy: 'give a pcap or pcapng file or lines of hex.' }
  if (isPcap(bytes)) return { frames: readPcap(bytes) }
  if (isPcapng(bytes)) return { frames: readPcapng(bytes) }
  if (bytes[0] === 0x1f && bytes[1] === 0x8b) {
    return { refused: 'it is compressed', remedy: 'unpack it first, for example with gunzip.' }
  }
  if (isHexLines(bytes)) return { frames: readHexLines(bytes) }
  return {
    refused: 'it is neither pcap, pcapng nor lines of hex',
    remedy: 'capture with tcpdump -w, or convert it with editcap -F pcapng.',
  }
}
