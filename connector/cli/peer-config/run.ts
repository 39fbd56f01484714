/** `isthmus peer-config`: reads the configuration, and the key only where it is to be shown. */
import { resolve } from 'node:path'
import { formatFault } from '../../config/faults.ts'
import type { SecretSource } from '../../config/secret.ts'
import { loadConfig, systemFiles } from '../../config.ts'
import { EXIT } from '../../handle.ts'
import { type CliIo, CommandFailure, type CommandInput, textOption } from '../command.ts'
import { paint, renderFields, wrapped } from '../manage/view.ts'
import { configPath } from '../options.ts'
import { factsOf, type PeerFacts } from './facts.ts'
import type { Preset } from './preset.ts'
import { VENDORS } from './vendors.ts'

export function peerConfig(input: CommandInput, io: CliIo): number {
  const vendor = VENDORS[input.args[0]!]
  if (vendor === undefined) {
    const known = `choose one of ${Object.keys(VENDORS).join(', ')}`
    throw new CommandFailure(`there is no vendor ${JSON.stringify(input.args[0])}`, known, EXIT.usage)
  }
  const path = configPath(input, io)
  const showSecret = input.options.showSecret === true
  const loaded = loadConfig(path, showSecret ? systemFiles : withoutSecrets(path))
  if ('faults' in loaded) {
    for (const fault of loaded.faults) io.stderr(`${formatFault(fault)}\n`)
    const isMissing = loaded.faults.every(({ kind }) => kind === 'file')
    const remedy = 'correct it: isthmus check tells when it is sound'
    throw new CommandFailure(`${path} has faults`, remedy, isMissing ? EXIT.unreadableFile : EXIT.badConfig)
  }
  const facts = factsOf(loaded, textOption(input, 'peer'), showSecret)
  const preset = vendor.preset(facts)
  if (input.options.json === true) {
    io.stdout(`${JSON.stringify({ vendor: input.args[0], peer: facts.name, ...preset }, undefined, 2)}\n`)
  } else io.stdout(rendered(vendor.title, facts, preset, path, io))
  return preset.faults.length === 0 ? EXIT.ok : EXIT.findings
}

/** Keys that nobody asked to see are not read: the verb needs no right to. */
function withoutSecrets(path: string): SecretSource {
  const some = new Uint8Array(32).fill(0x78)
  return {
    readFile: (name) => (resolve(name) === resolve(path) ? systemFiles.readFile(name) : some),
    fileMode: () => undefined,
    env: new Proxy({}, { get: () => 'x'.repeat(32), has: () => true }),
  }
}

/** A file alone goes to standard output whole, so that it can be written where it belongs. */
function rendered(title: string, { name, site }: PeerFacts, preset: Preset, path: string, io: CliIo): string {
  const { sections, file, yaml, notes, faults } = preset
  const comment = file === undefined ? '' : '# '
  const item = (text: string) => {
    const [first = '', ...rest] = wrapped(text, `${comment}  `, io)
    return [first.replace(`${comment}  `, `${comment}- `), ...rest].map((line) => `${line}\n`).join('')
  }
  const parts = [
    `${comment}${paint(io, 'bold', `${title}: the other end of ${name}, for the site ${site}`)}\n`,
    ...(file === undefined ? [] : [`# For ${file.path}\n\n${file.text}`]),
    ...sections.map((section) => {
      return `\n${section.title}\n${renderFields(
        section.fields.map(({ label, value }) => [label, value] as const),
        io,
      )}`
    }),
    ...(yaml.length === 0
      ? []
      : [`\n${comment}In ${path}, below peers.${name}:\n${yaml.map((line) => `${comment}  ${line}\n`).join('')}`]),
    ...(notes.length === 0 ? [] : [`\n${comment}To know:\n${notes.map(item).join('')}`]),
    ...faults.map((fault) => `\n${comment}${paint(io, 'red', 'It will not work like this.')}\n${item(fault)}`),
  ]
  return parts.join('')
}
