/**
 * Connections to AWS against the EC2 stand-in: `npm run bench:cloud -- --help`. Real tunnels for one connection; a hundred
 * of them without, within AWS's rates.
 */
import { parseArgs } from 'node:util'
import type { Cloud, CloudDraft, CloudPlan } from '../../protocol/control/cloud.ts'
import { CloudWorld } from '../aws/cloud-world.ts'
import { startExchange } from '../aws/customer.ts'
import { AWS_RATES, VPC } from '../aws/server.ts'
import { ping } from '../system/ping.ts'
import { until } from '../system/until.ts'

const ROTATIONS = 10
const REPLACEMENTS = 5
const MANY = 100
const RATE = 1_000
const DRAFT: Partial<CloudDraft> = {
  site: 'hq',
  region: 'eu-central-1',
  target: { kind: 'vpc', vpc: VPC.id, as: 64_512 },
}

interface Figures {
  readonly applySeconds: number
  readonly rotations: {
    readonly count: number
    readonly sent: number
    readonly lost: number
    readonly seconds: number[]
  }
  readonly replacements: {
    readonly lostMs: { readonly there: number[]; readonly back: number[] }
    readonly upSeconds: number[]
  }
  readonly many: {
    readonly connections: number
    readonly planSeconds: number
    readonly applySeconds: number
    readonly calls: number
    readonly throttled: number
  }
}

const say = (text: string) => process.stderr.write(`${text}\n`)
const seconds = (since: number) => Math.round((performance.now() - since) / 100) / 10

async function one(): Promise<Omit<Figures, 'many'>> {
  const cloud = await CloudWorld.create({ delays: { gateway: 0, attach: 0, connection: 0, modify: 1_500, delete: 0 } })
  try {
    const began = performance.now()
    const draft = { ...DRAFT, name: 'aws' }
    await cloud.ask<CloudPlan>('POST', '/cloud-plan', { draft })
    const { id } = await cloud.ask<Cloud>('POST', '/clouds', draft)
    const run = await cloud.begin(id, { kind: 'apply' })
    await until('the connection', () => cloud.ec2.account.vpnConnections.length > 0, 60_000)
    const connection = cloud.ec2.account.vpnConnections[0]!.id
    await until(
      'its network',
      async () => (await cloud.aws.status(connection).catch(() => undefined)) !== undefined,
      60_000,
    )
    const host = cloud.aws.host(connection)
    const first = async () =>
      (await ping(cloud.world, cloud.site.host.ns, host.address, { count: 1, intervalMs: 10, timeoutMs: 500 }))
        .received === 1
    await until('the first packet', first, 120_000, 20)
    const applySeconds = seconds(began)
    say(`plan and apply to the first packet: ${applySeconds} s`)
    await cloud.runEnded(run)
    const rotations = await rotate(cloud, id, host)
    const replacements = await replace(cloud, connection, host)
    return { applySeconds, rotations, replacements }
  } finally {
    await cloud.close()
  }
}

async function rotate(
  cloud: CloudWorld,
  id: string,
  host: { ns: string; address: string },
): Promise<Figures['rotations']> {
  const flow = await startExchange(cloud.world, cloud.site.host, host, RATE)
  const each: number[] = []
  for (let turn = 0; turn < ROTATIONS; turn++) {
    const began = performance.now()
    const run = await cloud.runEnded(await cloud.begin(id, { kind: 'rotate' }))
    if (run.state !== 'done') throw new Error(JSON.stringify(run))
    each.push(seconds(began))
  }
  const { there, back } = await flow.stop()
  const figures = { count: ROTATIONS, sent: there.sent + back.sent, lost: there.lost + back.lost, seconds: each }
  say(`${ROTATIONS} rotations of both keys: ${figures.lost} of ${figures.sent} packets lost, ${each.join(', ')} s`)
  return figures
}

async function replace(
  cloud: CloudWorld,
  connection: string,
  host: { ns: string; address: string },
): Promise<Figures['replacements']> {
  const figures: Figures['replacements'] = { lostMs: { there: [], back: [] }, upSeconds: [] }
  for (let turn = 0; turn < REPLACEMENTS; turn++) {
    const flow = await startExchange(cloud.world, cloud.site.host, host, RATE)
    const used = await cloud.usedTunnel(connection)
    const began = performance.now()
    await cloud.aws.replace(connection, used, { silentMs: 1_000 })
    await cloud.untilBothUp()
    await until('AWS to see both', async () => (await cloud.aws.status(connection)).every(({ up }) => up), 60_000)
    figures.upSeconds.push(seconds(began))
    const { there, back } = await flow.stop()
    figures.lostMs.there.push(Math.round((there.lost / RATE) * 1000))
    figures.lostMs.back.push(Math.round((back.lost / RATE) * 1000))
  }
  say(
    `an endpoint replaced: ${figures.lostMs.there.join(', ')} ms lost to AWS, ${figures.lostMs.back.join(', ')} ms back`,
  )
  return figures
}

async function many(): Promise<Figures['many']> {
  const quotas = { customerGateways: 200, vpnGateways: 200, vpnConnections: 200 }
  const vpcs = Array.from({ length: MANY }, (_, index) => ({
    id: `vpc-${String(index).padStart(17, '0')}`,
    blocks: [`172.${16 + (index >> 6)}.${(index & 63) << 2}.0/22`],
  }))
  const cloud = await CloudWorld.create({
    rates: AWS_RATES,
    quotas,
    vpcs,
    delays: { connection: 1_000 },
    isCarried: false,
  })
  try {
    const drafts = vpcs.map(({ id }, index) => ({
      ...DRAFT,
      name: `aws-${index}`,
      target: { kind: 'vpc', vpc: id },
      gateway: { as: 65_000 },
    }))
    const planning = performance.now()
    for (const draft of drafts) await cloud.ask('POST', '/cloud-plan', { draft })
    const planSeconds = seconds(planning)
    const clouds: Cloud[] = []
    for (const draft of drafts) clouds.push(await cloud.ask<Cloud>('POST', '/clouds', draft))
    const before = cloud.ec2.calls.length
    const began = performance.now()
    for (const { id } of clouds) await cloud.begin(id, { kind: 'apply' })
    const built = async () => cloud.ec2.account.tables.every(({ propagating }) => propagating.size === 1)
    await until('all of them', built, 900_000, 500)
    const applySeconds = seconds(began)
    const calls = cloud.ec2.calls.slice(before)
    const throttled = calls.filter(({ error }) => error === 'RequestLimitExceeded').length
    const figures = {
      connections: cloud.ec2.account.vpnConnections.length,
      planSeconds,
      applySeconds,
      calls: calls.length,
      throttled,
    }
    say(
      `${MANY} connections: planned in ${planSeconds} s, applied in ${applySeconds} s by ${calls.length} calls, ${throttled} of them throttled`,
    )
    return figures
  } finally {
    await cloud.close()
  }
}

const { values } = parseArgs({
  options: {
    part: { type: 'string', default: 'all' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})
if (values.help || !['all', 'one', 'many'].includes(values.part)) {
  say(`Usage: npm run bench:cloud -- [--part one|many] [--json]

  --part one    Connect, rotate and replace endpoints of one connection, with tunnels (about 6 minutes).
  --part many   A hundred connections, without tunnels (about 3 minutes).`)
  process.exit(values.help ? 0 : 2)
}
const figures: Partial<Figures> = {
  ...(values.part === 'many' ? {} : await one()),
  ...(values.part === 'one' ? {} : { many: await many() }),
}
if (values.json) process.stdout.write(`${JSON.stringify(figures, null, 2)}\n`)
