/** docs/cli.md from the verbs, docs/metrics.md from the table of metrics. */

import { DROP_NAMES } from '../../wasm/drop-reasons.ts'
import { BGP_EVENTS } from '../core/bgp/speaker-types.ts'
import { PATH_CAUSES, PATH_EVENTS } from '../core/paths/types.ts'
import { HOST_DROPS } from '../data/commands.ts'
import { EXIT } from '../handle.ts'
import { METRICS, type MetricFacts } from '../ops/metric-names.ts'
import { type Command, everyCommand, isGroup, type Verb } from './command.ts'
import { COMMANDS } from './commands.ts'
import { CONTROL_OPTIONS } from './manage/options.ts'
import { EXIT_MEANINGS, exitsOf } from './run.ts'

const CLI_HEAD = `# The command line

\`npx isthmus <verb>\`, or \`connector/bin/isthmus.cjs <verb>\`. Each verb has \`--help\`. When one fails, it says on standard
error what went wrong and what to do, and its exit code tells a script the kind of trouble. Colours appear on terminals
only; \`NO_COLOR=1\` switches them off. \`ISTHMUS_CONFIG\` names the configuration, \`ISTHMUS_NODE\` another Node.js (22.18 or
later) to run with, and \`ISTHMUS_TRACE=1\` adds a stack trace to an error that should not happen.
\`ISTHMUS_OFFLOADS\` is \`all\`, \`none\`, or some of \`tso\`, \`uso\`, \`gso\` and \`gro\`: the offloads of the kernel that a
connector may use; \`isthmus status\` says which it does. \`ISTHMUS_WORKERS\` is the number of packet workers of a connector
that has joined a network; for others it stands in the configuration.

This page is made from the verbs in \`connector/cli/\`; \`node connector/cli/generate.ts\` renews it.
`

export function cliPage(): string {
  const verbs = everyCommand(COMMANDS).map(({ words, command: { summary } }) => {
    return `| [\`${words}\`](#${words.replaceAll(' ', '-')}) | ${summary} |`
  })
  const codes = Object.entries(EXIT).map(([name, code]) => `| ${code} | ${EXIT_MEANINGS[name as keyof typeof EXIT]} |`)
  const parts = [
    CLI_HEAD,
    `| verb | what it is for |\n| --- | --- |\n${verbs.join('\n')}\n`,
    `## Exit codes\n\n| code | meaning |\n| --- | --- |\n${codes.join('\n')}\n`,
    ...COMMANDS.flatMap((verb) => verbSections(verb)),
    networksText(),
    API_TEXT,
  ]
  return parts.join('\n')
}

/** Of a group, what it is about comes before its verbs. */
function verbSections(verb: Verb, before = ''): string[] {
  const words = `${before}${verb.name}`
  const own = isGroup(verb) ? `## ${words}\n\n${verb.description}\n` : verbSection(verb, words)
  return [own, ...(verb.commands ?? []).flatMap((below) => verbSections(below, `${words} `))]
}

function verbSection(command: Command, words: string): string {
  const args = (command.arguments ?? []).map(({ name }) => name)
  const usage = ['isthmus', words, ...(command.options === undefined ? [] : ['[options]']), ...args].join(' ')
  const rows = [
    ...(command.arguments ?? []).map(({ name, description }) => `| \`${name}\` | ${description} |`),
    ...(command.options ?? [])
      .filter((option) => !CONTROL_OPTIONS.includes(option))
      .map(({ flags, description, default: preset, repeatable }) => {
        const notes = `${preset === undefined ? '' : ` (default ${preset})`}${repeatable ? ' (may be repeated)' : ''}`
        return `| \`${flags}\` | ${description}${notes} |`
      }),
  ]
  const table = rows.length === 0 ? '' : `| argument or option | meaning |\n| --- | --- |\n${rows.join('\n')}\n\n`
  const asks = command.options?.some((option) => CONTROL_OPTIONS.includes(option))
  const more = asks ? 'Also takes [the options for networks](#verbs-for-networks).\n\n' : ''
  const examples = command.examples.map((example) => `${example.command}   # ${example.what}`)
  const exits = exitsOf(command).map(([code]) => code)
  return `${words.includes(' ') ? '###' : '##'} ${words}\n\n\`${usage}\`: ${command.description}\n\n${table}${more}\`\`\`sh\n${examples.join('\n')}\n\`\`\`\n\nExit codes: ${exits.join(', ')}.\n`
}

function networksText(): string {
  const rows = CONTROL_OPTIONS.map(({ flags, description }) => `| \`${flags}\` | ${description} |`)
  return `## Verbs for networks

Those that ask the control plane, like \`isthmus site add\`, run anywhere, need no right on the machine, and all take:

| option | meaning |
| --- | --- |
${rows.join('\n')}

A token that was kept for one address is not sent to another. What is added is added once, also when the answer is lost
and the request repeated; a control plane that is busy is asked again when it says, four times in all. Tables fit the
terminal, and are whole in a file or for another program; \`--json\` prints one document for programs.
`
}

const API_TEXT = `## The local API

The verbs talk HTTP to the connector over its Unix socket (\`control_socket\`, mode 0600), and so can you:

| request | body | answer |
| --- | --- | --- |
| \`GET /status\` | | the status document of \`protocol/status.ts\` |
| \`GET /streams\` | | \`{ "streams": [...] }\`, the last 1,000 streams of functions as \`connector/core/functions/records.ts\` has them, newest last |
| \`GET /metrics\` | | Prometheus text format |
| \`GET /healthz\` | | \`ok\` |
| \`POST /initiate\` | \`{ "connection": "branch" }\` | \`{ "ok": true }\` |
| \`POST /terminate\` | \`{ "connection": "branch" }\` | \`{ "ok": true }\` |
| \`POST /rekey\` | \`{ "connection": "branch", "child": "net" }\`; without \`child\` the IKE SA | \`{ "ok": true }\` |
| \`POST /routes\` | \`{ "prefix": "10.0.0.0/8", "limit": 1000 }\`, both may be absent | the document of \`protocol/routes.ts\` |
| \`POST /routes/explain\` | \`{ "prefix": "10.2.0.0/16" }\` | the same file has it |
| \`POST /bgp/reset\` | \`{ "neighbour": "cloud" }\` | \`{ "ok": true }\`; the session ends and begins anew |
| \`GET /paths\` | | the document of \`protocol/paths.ts\` |
| \`POST /drain\` | \`{ "connection": "branch", "on": true }\`; without \`on\` true, false takes it back | \`{ "ok": true }\` |
| \`POST /stop\` | | \`{ "ok": true }\`, then the connector stops |

Errors are problem documents (RFC 9457) with \`code\`, \`detail\` and \`remedy\`. Bodies have at most 16 KiB.

\`\`\`sh
curl --unix-socket /run/isthmus/control.sock http://isthmus/status
\`\`\`
`

export function metricsPage(): string {
  const rows = Object.entries<MetricFacts>(METRICS).map(([name, { type, labels, help }]) => {
    return `| \`${name}\` | ${type} | ${labels.map((label) => `\`${label}\``).join(', ')} | ${help} |`
  })
  return `# Metrics and health

A running connector serves these over HTTP on \`metrics.address\` and \`metrics.port\` (127.0.0.1:9700 unless configured). If
the port is taken, it says so in its log and works without.

| path | answer |
| --- | --- |
| \`/metrics\` | Prometheus text format; the same is on the control socket |
| \`/healthz\` | 200 while the process can tell its status |
| \`/readyz\` | 200 when the device works and every tunnel is up, or idle because its peer calls us; else 503. JSON with the state of each tunnel |

| metric | type | labels | meaning |
| --- | --- | --- | --- |
${rows.join('\n')}

Besides these, \`process_*\` and \`nodejs_*\` tell about the process.

Labels have few values: \`peer\`, \`child\` and \`neighbour\` are names of the configuration, \`direction\` is \`in\` or \`out\`, \`worker\` is the
index of a packet worker (0 to 15), \`service\` is a name in services.yaml, or \`-\` where nothing of that name is served,
\`outcome\`, \`result\` and \`via\` come from closed lists, \`code\` is one of the failure codes that the log shows, of BGP one of ${BGP_EVENTS.map((name) => `\`${name}\``).join(', ')}, of paths one of ${PATH_EVENTS.map((name) => `\`${name}\``).join(', ')}, \`cause\` of a failover is one of ${PATH_CAUSES.map((name) => `\`${name}\``).join(', ')}, \`class\` is a name of \`steering\`, and \`reason\` of dropped packets
is one of: ${[...DROP_NAMES, ...HOST_DROPS].map((name) => `\`${name}\``).join(', ')}.
SPIs and addresses of strangers are never labels.

This page is made from \`connector/ops/metric-names.ts\`; \`node connector/cli/generate.ts\` renews it.
`
}
