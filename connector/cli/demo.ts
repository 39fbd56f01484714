import type { Command } from './command.ts'

export const demo: Command = {
  name: 'demo',
  summary: 'two sites and a control plane on this machine, joined before your eyes',
  description:
    'Makes two sites and a control plane in network namespaces, joins both, pings and downloads through the tunnel, rekeys it, rotates its key, stops the control plane for a while, and shows both ends until Ctrl-C. Works as root and, with user namespaces, as an ordinary user. It leaves nothing behind.',
  options: [
    { flags: '--once', description: 'run through once and exit: 0 only if all held' },
    { flags: '--json', description: 'print one JSON object with what was measured' },
  ],
  examples: [
    { command: 'isthmus demo', what: 'live view until Ctrl-C' },
    { command: 'isthmus demo --once --json', what: 'for programs' },
  ],
  async action(input) {
    const { runDemo } = await import('./demo/demo.ts')
    return runDemo({ once: input.options.once === true, json: input.options.json === true })
  },
}
