import type { ConnectorStatus } from '../../protocol/status.ts'
import { EXIT } from '../handle.ts'
import type { Command } from './command.ts'
import { CONFIG_OPTION, JSON_OPTION, SOCKET_OPTION, socketPath } from './options.ts'
import { show, WATCH_OPTIONS } from './watch.ts'

export const status: Command = {
  name: 'status',
  summary: 'is it up, since when, what is wrong, what next',
  description:
    'Shows whether the tunnels stand, what is wrong and what to do about it, then per tunnel: peer, suite, SA ages and time to rekey, traffic each way, round trip, loss, MTU and why. The exit code tells a script the same.',
  options: [JSON_OPTION, ...WATCH_OPTIONS, SOCKET_OPTION, CONFIG_OPTION],
  examples: [
    { command: 'isthmus status', what: 'once, for people' },
    { command: 'isthmus status --watch', what: 'live, until Ctrl-C' },
    { command: "isthmus status --json | jq '.tunnels[].state'", what: 'for programs' },
  ],
  exits: ['notRunning', 'permission', 'tunnelDown'],
  async action(input, io) {
    const { controlClient } = await import('../ops/client.ts')
    const client = controlClient(await socketPath(input, io))
    const { renderStatus } = await import('./status-view.ts')
    const render = (document: ConnectorStatus) => renderStatus(document, io.columns, io.color)
    return show({ read: () => client.status(), render, exitCode: exitCodeOf }, input, io)
  },
}

/** A tunnel that waits for its peer to call is no fault of ours. */
export function exitCodeOf(document: ConnectorStatus): number {
  const works = document.tun.state === 'up' && document.tunnels.every(({ state }) => state === 'up' || state === 'idle')
  return works ? EXIT.ok : EXIT.tunnelDown
}
