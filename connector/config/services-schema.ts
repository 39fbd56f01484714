/** The whole of `services.yaml`: every key once, with type, unit, default and reason. */
import { z } from 'zod'
import { parseAddress } from '../../protocol/net.ts'
import * as leaf from './leaf.ts'

const DAY = 86_400_000

export const SERVICE_NAME = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/
const FUNCTION_NAME = /^[a-z0-9](?:[a-z0-9.-]{0,61}[a-z0-9])?$/
const LABEL = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/

/** Where a service is: kind, and an address in canonical form or a host name in lower case. */
export interface Target {
  readonly kind: 'http' | 'https' | 'tcp'
  readonly host: string
  readonly port: number
}

const TARGET = 'a target; write http://<host>:<port>, https://<host>:<port> or tcp://<host>:<port>'

function parseTarget(input: string): Target | undefined | { fault: string; remedy: string } {
  const match = /^(http|https|tcp):\/\/(\[[^\]]*\]|[^/:?#@]*)(?::(\d{1,5}))?(.*)$/i.exec(input)
  if (match === null) return undefined
  const kind = match[1]!.toLowerCase() as Target['kind']
  const rest = match[4]!
  const host = hostOf(match[2]!.replace(/^\[(.*)\]$/, '$1'))
  if (rest !== '' && rest !== '/') {
    return { fault: 'the target says more than where the service is', remedy: 'leave path, query and user out' }
  }
  if (host === undefined) return undefined
  if (host === 'localhost' || host.endsWith('.localhost')) {
    return { fault: 'localhost is a name that may lead anywhere', remedy: 'write the address, 127.0.0.1 or [::1]' }
  }
  const port = match[3] === undefined ? { http: 80, https: 443, tcp: undefined }[kind] : Number(match[3])
  if (port === undefined) return { fault: `"${input}" has no port`, remedy: `write ${input}:<port>` }
  return port >= 1 && port <= 65_535 ? { kind, host, port } : undefined
}

/** An address in canonical form, a host name in lower case, or undefined. */
export function hostOf(text: string): string | undefined {
  const address = parseAddress(text)
  if (address !== undefined) return address
  const name = text.toLowerCase().replace(/\.$/, '')
  // What only has digits at its end would be read as an address of a kind that nobody writes (`127.1`).
  const isName = name.length <= 253 && name.split('.').every((label) => LABEL.test(label)) && !/(^|\.)\d+$/.test(name)
  return isName ? name : undefined
}

function targetText(doc: leaf.KeyDoc) {
  return leaf.parsedText<Target>('target', doc, TARGET, parseTarget)
}

function hostText(doc: leaf.KeyDoc) {
  return leaf.parsedText<string>('host name', doc, 'a host name; write one like erp.corp.example', (input) =>
    parseAddress(input) === undefined ? hostOf(input) : undefined,
  )
}

/** Its words say nothing of the value: it is a secret, mostly. */
const HEADER_VALUE = 'the value of a header is text, { file: <path> } or { env: <NAME> }; write one of these'

const headerValue = z.union(
  [
    z.string(),
    z.strictObject({ file: z.string().min(1).max(4095) }),
    z.strictObject({ env: z.string().regex(/^[A-Za-z_]\w{0,127}$/) }),
  ],
  { error: () => HEADER_VALUE },
)

const HEADER_NAME = 'a header name; write one like x-api-key'

const headers = z
  .record(
    z.string().regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$/, { error: () => HEADER_NAME }),
    headerValue.meta({
      ...leaf.annotations('text, file or env', {
        description: 'Its value.',
        why: 'A file of mode 0600 keeps a secret.',
      }),
    }),
    { error: () => 'a mapping of header names to values; write x-api-key: { file: <path> }' },
  )
  .meta(
    leaf.annotations('headers by name', {
      description:
        'Headers that every request to the service gets, in place of what the function sent under that name: text, `{ file: <path> }` or `{ env: <NAME> }`.',
      why: 'So that the key of an API stays on site and no function has it.',
      computed: 'none',
    }),
  )

const tls = leaf.section(
  {
    ca: leaf
      .pathText({
        description: 'Certificates (PEM) of the authorities that may sign the certificate of the service.',
        why: 'A private authority is trusted for this service alone, and then nobody else is.',
        computed: 'those that Node.js trusts',
      })
      .optional(),
    certificate: leaf
      .pathText({
        description: 'Our own certificate (PEM), with its chain, where the service asks for one.',
        why: 'The site vouches for its functions; no function holds the key.',
        computed: 'none',
      })
      .optional(),
    key: leaf
      .pathText({ description: 'The key (PEM) of that certificate.', why: 'See `certificate`.', computed: 'none' })
      .optional(),
    server_name: hostText({
      description: 'Name for SNI and for the check of the certificate.',
      why: 'Where the target is an address, or another name than the certificate has.',
      computed: 'the host of the target',
    }).optional(),
  },
  {
    description:
      'How TLS is spoken: to a service with `https`, to hosts of `networks`, and to one with `tcp` where the function asks for it.',
    why: 'A certificate that does not fit is refused; nothing switches the check off.',
  },
)

const timeouts = leaf.section(
  {
    connect: leaf
      .durationText(
        {
          description: 'To reach the service, TLS included.',
          why: 'Longer than a lost SYN or two takes to be sent again.',
        },
        { min: 100, max: 300_000 },
      )
      .prefault('10s'),
    response: leaf
      .durationText(
        { description: 'From a request to the head of its answer.', why: 'Slow reports fit; a hung service is told.' },
        { min: 100, max: DAY },
      )
      .prefault('60s'),
    idle: leaf
      .durationText(
        {
          description: 'Without a byte either way.',
          why: 'A function that was ended without a word holds nothing for ever.',
        },
        { min: 1000, max: DAY },
      )
      .prefault('5m'),
    total: leaf
      .durationText(
        { description: 'For a stream as a whole.', why: 'No function runs for longer than its platform lets it.' },
        { min: 1000, max: 7 * DAY },
      )
      .prefault('1h'),
  },
  { description: 'Patience with the service.', why: 'A function may ask for less, never for more.' },
)

const service = leaf.section(
  {
    target: targetText({
      description: 'Where the service is: `http`, `https` or `tcp`, host and port.',
      why: 'By a name of your choice functions reach this and nothing else. A host name is looked up at each dial; what it leads to must not be a special address.',
      computed: 'none: `networks` is there instead',
      examples: ['http://10.1.0.20:8000', 'tcp://10.1.0.30:5432'],
    }).optional(),
    networks: leaf
      .list(
        leaf.prefixText({ description: 'A network.', why: 'See `networks`.' }),
        'network',
        {
          description:
            'Whole networks in place of a `target`. Loopback, link-local and other special addresses, and the connector itself, are reached only where the one address is listed by itself (`127.0.0.1/32`).',
          why: 'For hosts that are too many to name. Names of hosts are looked up by the connector, and the address that was checked is the one that is dialled.',
          computed: 'none: `target` is there instead',
          examples: ['[10.1.0.0/24]'],
        },
        64,
      )
      .optional(),
    ports: leaf
      .list(
        leaf.portsText({ description: 'A port, or a range of them.', why: 'See `ports`.' }),
        'port',
        {
          description: 'Ports of those networks.',
          why: 'Needed with `networks`: nothing is open that is not named.',
          computed: 'none',
          examples: ['[443, 8000-8010]'],
        },
        64,
      )
      .optional(),
    allow: leaf
      .list(
        leaf.patternText(
          'name',
          { description: 'Name of a function.', why: 'See `allow`.' },
          FUNCTION_NAME,
          'the name of a function; write it as isthmus function list shows it',
        ),
        'function',
        {
          description: 'Functions that may use the service.',
          why: 'The token of the function must list the service too: whoever holds the control plane alone opens nothing here.',
          computed: 'nobody',
          examples: ['[orders, invoices]'],
        },
        1024,
      )
      .optional(),
    hosts: leaf
      .list(
        hostText({ description: 'A host name.', why: 'See `hosts`.' }),
        'host name',
        {
          description: 'Further names by which functions ask for it, besides `<name>` and `<name>.internal`.',
          why: 'So that a program keeps the URL that it has.',
          computed: 'none',
          examples: ['[erp.corp.example]'],
        },
        64,
      )
      .optional(),
    headers: headers.optional(),
    host_header: leaf
      .patternText(
        'host, or host:port',
        {
          description: 'What requests have as `Host`.',
          why: 'For a service that only answers to its own name.',
          computed: 'what the function wrote',
          examples: ['erp.corp.example'],
        },
        /^(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{1,5})?$/,
        'a host, or host:port; write one like erp.corp.example',
      )
      .optional(),
    tls: tls.prefault({}),
    timeouts: timeouts.prefault({}),
    max_connections: leaf
      .integer(
        {
          description:
            'Connections to the service at once. As many requests again wait for one; further ones are refused.',
          why: 'What an application server takes without harm.',
        },
        { min: 1, max: 10_000 },
      )
      .default(64),
    warm: leaf
      .integer(
        {
          description:
            'Connections that are open and ready, TLS done, before anybody asks. Only for `http` and `https`.',
          why: 'A cold function then waits for no handshake on site. 0 for a service that minds idle connections.',
          computed: '`1` for `http` and `https`',
        },
        { min: 0, max: 16 },
      )
      .optional(),
  },
  { description: 'One service.', why: 'A target, or networks and ports; and who may use it.' },
)

const listen = leaf.section(
  {
    address: leaf
      .addressText({
        description: 'Address to listen on.',
        why: 'All addresses of the machine, mostly behind one that is forwarded.',
      })
      .prefault('0.0.0.0'),
    port: leaf
      .integer(
        { description: 'TCP port to listen on.', why: 'Above 1024, and open in many networks.' },
        { min: 1, max: 65_535 },
      )
      .default(8443),
    url: leaf
      .patternText(
        'URL',
        {
          description: 'What functions are told, `wss:` or `ws:`.',
          why: 'As it looks from outside: behind a TLS proxy or a forwarded port it is not what stands here.',
          computed: '`wss://`, the first name in the certificate, and `port`; needed where that says nothing',
          examples: ['wss://hq.example.net:8443/'],
        },
        /^wss?:\/\/(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{1,5})?(?:\/[\w./~-]*)?$/,
        'a WebSocket URL; write one like wss://hq.example.net:8443/',
      )
      .optional(),
    certificate: leaf
      .pathText({
        description: 'Certificate with its chain (PEM), for TLS.',
        why: 'Without it plain WebSocket, for behind a TLS proxy. Sessions are encrypted either way; browsers and Workers want wss.',
        computed: 'none',
      })
      .optional(),
    key: leaf.pathText({ description: 'Its key (PEM).', why: 'See `certificate`.', computed: 'none' }).optional(),
  },
  {
    description: 'Functions come straight here, and only where that fails through the relay of the control plane.',
    why: 'Shorter by the way to the control plane and back. Needs a port that is open to the Internet, which the relay does not.',
    computed: 'none: only the relay',
  },
)

const limits = leaf.section(
  {
    sessions: leaf
      .integer(
        { description: 'Sessions at once.', why: 'Each instance of a function has one, with some 10 KB here.' },
        { min: 1, max: 100_000 },
      )
      .default(1024),
    sessions_per_function: leaf
      .integer(
        { description: 'Sessions of one function at once.', why: 'One that runs wild leaves room for others.' },
        { min: 1, max: 100_000 },
      )
      .default(512),
    handshakes: leaf
      .integer(
        {
          description: 'Connections at once of which nobody knows yet who they are.',
          why: 'Bounds what strangers and recorded handshakes can hold; each has ten seconds.',
        },
        { min: 1, max: 10_000 },
      )
      .default(64),
    streams: leaf
      .integer(
        { description: 'Streams at once, over all sessions.', why: 'A stream that waits takes less than 8 KB.' },
        { min: 1, max: 1_000_000 },
      )
      .default(8192),
    streams_per_session: leaf
      .integer(
        { description: 'Streams of one session at once.', why: 'More than one instance of a function has requests.' },
        { min: 1, max: 65_536 },
      )
      .default(1024),
    streams_per_second: leaf
      .integer(
        {
          description: 'Streams that one function opens in a second, over all of its sessions; as many again at once.',
          why: 'A loop without an end in a function stays its own trouble.',
        },
        { min: 1, max: 100_000 },
      )
      .default(500),
    memory: leaf
      .sizeText({
        description: 'Bytes that wait here for a service or a function to take them.',
        why: 'At four fifths new streams are refused, at the whole the one that holds most is ended.',
      })
      .prefault('256MiB'),
  },
  { description: 'What functions may take of this machine.', why: 'Load is refused in words before memory grows.' },
)

export const servicesSchema = leaf
  .section(
    {
      services: z
        .record(
          z.string().regex(SERVICE_NAME, {
            error: () => 'a name for a service; write 1 to 63 lower-case letters, digits and dashes',
          }),
          service,
          {
            error: () =>
              'a mapping of names to services; write a name of your choice and the keys of the service below it',
          },
        )
        .meta(
          leaf.annotations('sections by name', {
            description: 'The services, by a name of your choice.',
            why: 'The name is how functions ask for it, and what tokens list.',
          }),
        ),
      listen: listen.optional(),
      limits: limits.prefault({}),
    },
    { description: 'What serverless functions reach through one connector.', why: 'A service is all that is needed.' },
  )
  .meta({ title: 'services.yaml' })

export type ServicesConfig = z.output<typeof servicesSchema>
export type ServiceConfig = ServicesConfig['services'][string]
