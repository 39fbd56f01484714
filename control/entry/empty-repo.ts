/** The store of a network that nobody has founded: whoever asks finds nothing, and nothing is written for asking. */
import { Conflict, type Repo } from '../store/repo.ts'

export const EMPTY_REPO: Repo = {
  get: async () => undefined,
  byName: async () => undefined,
  list: async () => [],
  count: async () => 0,
  revisions: async () => new Map(),
  networks: async () => [],
  hasNetworkNamed: async () => false,
  intentAt: async () => undefined,
  audit: async () => [],
  auditHead: async () => ({ seq: 0, hash: '' }),
  replay: async () => undefined,
  commit: async () => {
    throw new Conflict('revision', 'network')
  },
  setting: async () => undefined,
  putSetting: async () => false,
  sweep: async () => {},
  close: async () => {},
}
