/** The queues by which packet workers hand packets to one another: two for each worker, which any other may write to. */
import type { WorkerShare } from '../data/commands.ts'
import { EXIT, StartFailure } from '../handle.ts'
import { errnoName, libc, O_CLOEXEC, O_NONBLOCK, Scratch, SOCK_SEQPACKET, setOption } from './ffi.ts'

const AF_UNIX = 1
const SOL_SOCKET = 1
const SO_SNDBUF = 7
const SO_SNDBUFFORCE = 32
/** What waits in one queue at most: some 60 super-packets, or some 5,000 small packets with what the kernel adds. */
const QUEUE_BYTES = 4 << 20

interface Queue {
  readonly read: number
  readonly write: number
}

export interface Inboxes {
  /** What each worker has to know. */
  readonly shares: readonly WorkerShare[]
  close(): void
}

/** Opens them all or none; a StartFailure says what is missing. */
export function openInboxes(workers: number): Inboxes {
  const opened: Queue[] = []
  const close = (): void => {
    for (const { read, write } of opened.splice(0)) {
      libc().close(read)
      libc().close(write)
    }
  }
  try {
    for (let i = 0; i < 2 * workers; i++) opened.push(openQueue())
  } catch (error) {
    close()
    throw error
  }
  const lan = opened.slice(0, workers)
  const wire = opened.slice(workers)
  const shares = lan.map((inbox, worker) => ({
    worker,
    lan: lan.map(({ write }) => write),
    wire: wire.map(({ write }) => write),
    lanInbox: inbox.read,
    wireInbox: wire[worker]!.read,
  }))
  return { shares, close }
}

/** Messages of up to 64 KB keep their bounds; neither end blocks. What waits counts against the writer's buffer. */
function openQueue(): Queue {
  const pair = new Scratch(8)
  if (libc().socketpair(AF_UNIX, SOCK_SEQPACKET | O_NONBLOCK | O_CLOEXEC, 0, pair.address) < 0) {
    const reason = errnoName(libc().errno())
    throw new StartFailure(
      'queue-failed',
      `A queue between packet workers could not be made (${reason}).`,
      'Raise the limit of open files (ulimit -n), or configure fewer workers.',
      EXIT.failed,
    )
  }
  const [read, write] = [pair.view.getInt32(0, true), pair.view.getInt32(4, true)]
  if (!setOption(write, SOL_SOCKET, SO_SNDBUFFORCE, QUEUE_BYTES)) setOption(write, SOL_SOCKET, SO_SNDBUF, QUEUE_BYTES)
  return { read, write }
}
