/** docs/services.md, from the schema. */
import { sections } from './docs.ts'
import { servicesJsonSchema } from './services.ts'

export const SERVICES_SCHEMA_FILE = 'connector/config/services.schema.json'

const HEAD = `# Services for functions

\`services.yaml\` says what serverless functions reach through a connector. A connector that belongs to a network and finds
the file serves functions; without it nothing changes. The simple case is short:

\`\`\`yaml
# yaml-language-server: $schema=./${SERVICES_SCHEMA_FILE}
services:
  erp:
    target: http://10.1.0.20:8000     # http, https or tcp
    allow: [orders, invoices]         # names of functions; nobody else
  db:  { target: 'tcp://10.1.0.30:5432', allow: [orders] }
  lan: { networks: [10.1.0.0/24], ports: [443, 8000-8010], allow: [orders] }
\`\`\`

\`isthmus services check\` reports every fault at once with line and column, \`isthmus services\` shows what a running
connector serves, and \`isthmus streams\` who used what. How a function gets there: [functions.md](functions.md).

- Where \`--services\` and \`$ISTHMUS_SERVICES\` are absent, \`services.yaml\` in the state directory and then
  \`/etc/isthmus/services.yaml\` is read.
- The file is read again when it, or a file that it names, changes: looked at every two seconds. One with faults leaves the
  old one in force, and the log says so. Streams that are open stay open, unless their service is gone or their function is
  not allowed any more.
- Relative paths start at the directory of the file. Durations and sizes are as in [config.md](config.md).

## Who may use a service
Two sides must agree. The token of the function lists the service (\`isthmus function allow orders hq/erp\`), and \`allow\`
here names the function. Nothing else is reachable: not the address of a service without its name, not another port.

A function asks for a service by \`erp\`, \`erp.internal\` or one of its \`hosts\`, with the port of the target or, for HTTP,
with none. What it may ask for in \`networks\` are addresses and names of hosts. The connector looks a name up once and
dials the address that it has checked. Loopback, link-local, multicast and other special addresses, IPv4 addresses dressed
as IPv6, and the connector's own ports are refused, whatever the networks say, unless the one address is listed by itself.

Dials follow the routes of the machine: a service behind a tunnel to another site is reached like one on the LAN.

## HTTP
Requests are made by the connector: it keeps connections to the service, follows no redirect, and decodes nothing.
Fields that belong to a connection stay on it, both ways. \`Host\` is the host that the function asked for, or \`host_header\`;
a request that names another host in its URL than in its stream is refused. What \`headers\` names replaces what the function
sent under that name. Trailers of requests are dropped; those of answers are passed on. A request without side effects that
meets a connection which the service closes at that moment is made once more on a fresh one.

## What an operator sees
Each stream leaves one line in the log (\`event: "function-stream"\`: function, service, host and port as asked, bytes each
way, milliseconds, outcome), refused ones too, and the last 1,000 are in \`isthmus streams\`. Handshakes that fail are counted,
and told at most once in ten seconds. [metrics.md](metrics.md) has the counters.
`

const TAIL = `This page is made from the schema in \`connector/config/\`; \`node connector/cli/generate.ts\` renews it.
`

export function servicesPage(): string {
  return `${[HEAD, ...sections('', 'Keys', servicesJsonSchema()), TAIL].join('\n')}`
}
