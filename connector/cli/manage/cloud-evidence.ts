/** What the signed evidence of a rotation at a cloud says, for people. */
import type { CloudEvidence } from '../../../protocol/control/cloud.ts'
import type { Cloud, CloudRun } from '../../../protocol/control/generated/api-client.ts'
import type { CliIo } from '../command.ts'
import type { Place } from './access.ts'
import { type Verified, verifyCloudEvidence } from './evidence.ts'
import { type Cell, counted, grouped, paint, renderTable, since } from './view.ts'

const COLUMNS = [
  { title: 'TUNNEL', shrinks: true },
  { title: 'OLD KEY' },
  { title: 'NEW KEY' },
  { title: 'IDLE BEFORE', align: 'right' },
  { title: 'OUT OF USE', align: 'right' },
] as const

/** The evidence key may have come with the first rotation, so that it is asked for now. */
export async function evidenceOf({ api, params }: Place, run: CloudRun): Promise<Verified<CloudEvidence> | undefined> {
  const { id, evidenceKey } = await api.value('networks.get', { params })
  return verifyCloudEvidence(run, id, evidenceKey)
}

/** Ends in a line break. */
export function renderRotation(
  { tunnels }: Cloud,
  run: CloudRun,
  verified: Verified<CloudEvidence> | undefined,
  io: CliIo,
): string {
  const time = run.finishedAt === undefined ? '' : `, in ${since(run.createdAt, run.finishedAt)}`
  if (verified === undefined) return `There is no evidence${time}.\n`
  if (!verified.genuine) return `${paint(io, 'red', `The evidence proves nothing: ${verified.why}`)}${time}.\n`
  const { evidence } = verified
  const names = new Map(tunnels.map(({ external, name }) => [external, name]))
  const rows = evidence.tunnels.map((each): Cell[] => [
    names.get(each.external) ?? each.external,
    each.oldKey?.slice(0, 8) ?? '',
    each.newKey === undefined ? { text: 'not rotated', style: 'red' } : each.newKey.slice(0, 8),
    each.idleMs === undefined ? '' : since(0, each.idleMs),
    each.drainedAt === undefined || each.backAt === undefined ? '' : since(each.drainedAt, each.backAt),
  ])
  const done = evidence.tunnels.filter(({ newKey }) => newKey !== undefined).length
  const good = run.state === 'done' && done === evidence.tunnels.length
  const head = paint(io, good ? 'green' : 'red', `${done} of ${counted(evidence.tunnels.length, 'key')} rotated${time}`)
  return `${renderTable(COLUMNS, rows, io)}${head}; ${trafficText(evidence, io)}; the evidence verifies.\n`
}

function trafficText({ traffic, complete }: CloudEvidence, io: CliIo): string {
  const { inPackets, outPackets, missing, dropped } = traffic
  const carried = `${grouped(outPackets)} packets out, ${grouped(inPackets)} in`
  const partial = complete ? '' : ', as far as the connector has told'
  if (missing === undefined) return `${carried}; it is not known whether any is missing${partial}`
  const lost = paint(io, missing === 0 ? 'green' : 'red', `${grouped(missing)} missing`)
  return `${carried}, ${lost}${dropped === 0 ? '' : `, ${grouped(dropped)} dropped here`}${partial}`
}
