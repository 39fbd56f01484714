import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { styleText } from 'node:util'
import { familyOf } from '../../protocol/net.ts'
import type { ConnectorStatus } from '../../protocol/status.ts'
import type { LoadedConfig } from '../config.ts'
import { EXIT } from '../handle.ts'
import type { CliIo, Command, CommandInput } from './command.ts'
import type { Finding } from './doctor-checks.ts'
import type { DoctorHost } from './doctor-host.ts'
import { CONFIG_OPTION, configPath, JSON_OPTION, SOCKET_OPTION, socketPath } from './options.ts'

const WASM_FILES = ['engine.relaxed.wasm', 'engine.strict.wasm', 'stream.relaxed.wasm', 'stream.strict.wasm']

export const doctor: Command = {
  name: 'doctor',
  summary: 'find out why it does not work',
  description:
    'Checks this host, the configuration and, when a connector runs, its tunnels: one line each, with a remedy where something is wrong. Changes nothing.',
  options: [JSON_OPTION, CONFIG_OPTION, SOCKET_OPTION],
  examples: [
    { command: 'sudo isthmus doctor', what: 'with the rights that isthmus up will have' },
    { command: 'isthmus doctor --json', what: 'for programs' },
  ],
  async action(input, io) {
    const { systemHost } = await import('./doctor-host.ts')
    return runDoctor(input, io, systemHost)
  },
}

export async function runDoctor(input: CommandInput, io: CliIo, host: DoctorHost): Promise<number> {
  const { checkHost } = await import('./doctor-checks.ts')
  const { loaded, findings: ofConfig } = await checkConfig(configPath(input, io))
  const running = await runningStatus(await socketPath(input, io))
  const wasm = join(import.meta.dirname, '../../wasm/build')
  const ports = loaded === undefined ? [500, 4500] : [loaded.plan.ports.port, loaded.plan.ports.natPort]
  const findings = [
    ...(await checkHost(host, {
      ports,
      wantsIpv6: loaded?.plan.connections.some(({ routes }) => routes.some((route) => familyOf(route) === 6)) ?? false,
      isRunning: running !== undefined,
      wasmFiles: WASM_FILES.map((name) => join(wasm, name)),
    })),
    ...ofConfig,
    ...checkRunning(running),
  ]
  const failed = findings.filter(({ state }) => state === 'fail').length
  if (input.options.json === true) io.stdout(`${JSON.stringify({ ok: failed === 0, findings })}\n`)
  else printFindings(findings, io)
  return failed === 0 ? EXIT.ok : EXIT.failed
}

async function checkConfig(path: string): Promise<{ loaded?: LoadedConfig; findings: Finding[] }> {
  if (!existsSync(path)) {
    const remedy = 'write one: docs/config.md begins with a short example; name another place with --config'
    return { findings: [{ name: 'config', state: 'warn', detail: `there is no ${path}`, remedy }] }
  }
  const { loadConfig } = await import('../config.ts')
  const loaded = loadConfig(path)
  const faults = 'faults' in loaded ? loaded.faults : loaded.warnings
  const state = 'faults' in loaded ? 'fail' : 'warn'
  const findings = faults.map((fault): Finding => {
    const detail = `${fault.file}:${fault.line}:${fault.column}: ${fault.path}: ${fault.message}`
    return { name: 'config', state, detail, remedy: fault.remedy }
  })
  if ('faults' in loaded) return { findings }
  const sound: Finding = { name: 'config', state: 'ok', detail: `${path} is sound` }
  return { loaded, findings: [sound, ...findings] }
}

async function runningStatus(socket: string): Promise<ConnectorStatus | undefined> {
  const { controlClient } = await import('../ops/client.ts')
  try {
    return await controlClient(socket).status()
  } catch {
    return undefined
  }
}

function checkRunning(status: ConnectorStatus | undefined): Finding[] {
  if (status === undefined) return [{ name: 'connector', state: 'ok', detail: 'none answers on the control socket' }]
  const running: Finding = {
    name: 'connector',
    state: 'ok',
    detail: `process ${status.pid} runs since ${status.startedAt}`,
  }
  return [
    running,
    ...status.tunnels.map(({ name, state, lastError }): Finding => {
      if (state === 'up') return { name: `tunnel ${name}`, state: 'ok', detail: 'up' }
      if (lastError === undefined) {
        const remedy = 'wait a moment; isthmus status --watch shows how it goes on'
        return { name: `tunnel ${name}`, state: 'warn', detail: state, remedy }
      }
      return { name: `tunnel ${name}`, state: 'fail', detail: `${state}: ${lastError.cause}`, remedy: lastError.remedy }
    }),
  ]
}

function printFindings(findings: readonly Finding[], io: CliIo): void {
  const tints = { ok: 'green', warn: 'yellow', fail: 'red' } as const
  for (const { name, state, detail, remedy } of findings) {
    const label = state.padEnd(4)
    const painted = io.color ? styleText(tints[state], label, { validateStream: false }) : label
    io.stdout(`${painted}  ${name}: ${detail}\n`)
    if (remedy !== undefined) io.stdout(`      What to do: ${remedy}\n`)
  }
  const count = (wanted: Finding['state']) => findings.filter(({ state }) => state === wanted).length
  const verdict = count('fail') > 0 ? 'Mend what failed, from the top.' : 'Nothing stands in the way of isthmus up.'
  io.stdout(`${count('ok')} ok, ${count('warn')} warnings, ${count('fail')} failed. ${verdict}\n`)
}
