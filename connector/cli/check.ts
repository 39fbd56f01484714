import { EXIT } from '../handle.ts'
import type { Command } from './command.ts'
import { CONFIG_OPTION, configPath, JSON_OPTION } from './options.ts'

export const check: Command = {
  name: 'check',
  summary: 'say everything that is wrong with the configuration',
  description:
    'Reads the configuration and the secrets that it names and reports all faults at once, each with line and column, cause and remedy. Changes nothing. The form file:line:column is one that editors jump to.',
  arguments: [{ name: '[file]', description: 'the configuration, as with --config' }],
  options: [CONFIG_OPTION, JSON_OPTION],
  examples: [
    { command: 'isthmus check', what: 'the configuration that isthmus up would read' },
    { command: 'isthmus check branch.yaml', what: 'another file' },
  ],
  exits: ['badConfig', 'unreadableFile'],
  async action(input, io) {
    const { formatFault, loadConfig } = await import('../config.ts')
    const path = input.args[0] ?? configPath(input, io)
    const loaded = loadConfig(path)
    const faults = 'faults' in loaded ? loaded.faults : []
    const warnings = 'faults' in loaded ? [] : loaded.warnings
    if (input.options.json === true) {
      io.stdout(`${JSON.stringify({ ok: faults.length === 0, faults, warnings })}\n`)
    } else if ('faults' in loaded) {
      for (const fault of faults) io.stderr(`${formatFault(fault)}\n`)
      io.stderr(
        `${faults.length === 1 ? 'One fault' : `${faults.length} faults`}. Correct and run isthmus check again.\n`,
      )
    } else {
      for (const warning of warnings) io.stderr(`${formatFault(warning)} (warning)\n`)
      const peers = loaded.plan.connections.map(({ ike }) => ike.name).join(', ')
      io.stdout(`${path} is sound: site ${loaded.plan.site}, peers ${peers}. Next: isthmus up\n`)
    }
    if (faults.length === 0) return EXIT.ok
    return faults.every(({ kind }) => kind === 'file') ? EXIT.unreadableFile : EXIT.badConfig
  },
}
