import { setTimeout as pause } from 'node:timers/promises'
import { EXIT } from '../handle.ts'
import { type Command, CommandFailure } from './command.ts'
import { CONFIG_OPTION, SOCKET_OPTION, socketPath } from './options.ts'

const PATIENCE_MS = 15_000

export const down: Command = {
  name: 'down',
  summary: 'stop the connector in good order',
  description:
    'Tells the running connector to stop, and waits until it has: it deletes the SAs at the peers, removes its routes and the TUN device, and ends.',
  options: [SOCKET_OPTION, CONFIG_OPTION],
  examples: [{ command: 'isthmus down', what: 'stop the connector of this host' }],
  exits: ['notRunning', 'permission'],
  async action(input, io) {
    const { ControlError, controlClient } = await import('../ops/client.ts')
    const socket = await socketPath(input, io)
    const client = controlClient(socket)
    await client.stop()
    const deadline = performance.now() + PATIENCE_MS
    while (performance.now() < deadline) {
      await pause(100)
      try {
        await client.status()
      } catch (error) {
        // While it ends, a request may be cut off half-way: only silence says that it is gone.
        if (!(error instanceof ControlError)) throw error
        if (error.exitCode !== EXIT.notRunning) continue
        io.stdout('The connector has stopped; its tunnels, routes and device are gone.\n')
        return EXIT.ok
      }
    }
    const remedy = 'look into its log; kill its process (isthmus status shows the number), the next start cleans up'
    throw new CommandFailure(
      `the connector still runs ${PATIENCE_MS / 1000} s after it was told to stop`,
      remedy,
      EXIT.failed,
    )
  },
}
