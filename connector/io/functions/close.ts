/** What a WebSocket is closed with: docs/functions-protocol.md, "Opening". */
import type { StreamProblem } from '../../../protocol/stream-problem.ts'

/** RFC 6455 section 5.5: 125 bytes, two of which are the code. */
const MAX_REASON = 123

/** `{"code":...,"cause":...}`, the cause cut so that it fits. */
export function closeReason({ code, cause }: Pick<StreamProblem, 'code' | 'cause'>): string {
  let text = cause
  for (;;) {
    const reason = JSON.stringify({ code, cause: text })
    const excess = Buffer.byteLength(reason) - MAX_REASON
    if (excess <= 0 || text === '') return reason
    // Whole characters, so that no half of a pair is left.
    text = [...text].slice(0, -Math.max(1, Math.ceil(excess / 4))).join('')
  }
}
