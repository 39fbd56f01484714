import { EXIT } from '../../handle.ts'
import { type CliIo, type CommandInput, textOption } from '../command.ts'
import { nowOf, openNetwork } from './access.ts'
import { verifyEvidence } from './evidence.ts'
import { printJson } from './options.ts'
import { tunnelBy } from './resolve.ts'
import { outcomesOf, renderOutcomes, rotationCell, rotationDocument } from './run.ts'
import { ago, type Cell, grouped, moment, renderFields, since } from './view.ts'

/** Rows of one table. */
const MOST_ROWS = 50

export async function listRotations(input: CommandInput, io: CliIo): Promise<number> {
  const place = await openNetwork(input, io)
  const { api, params } = place
  const tunnel = textOption(input, 'tunnel')
  const query =
    tunnel !== undefined
      ? { tunnel: (await tunnelBy(place, tunnel)).id }
      : input.options.active === true
        ? { state: 'active' as const }
        : {}
  const found = await api.all('rotations.list', { params, query })
  const rotations = found.sort((left, right) => right.createdAt - left.createdAt || right.to - left.to)
  const outcomes = await outcomesOf(place, input.options.all === true ? rotations : rotations.slice(0, MOST_ROWS))
  if (input.options.json === true) {
    printJson(io, { items: outcomes.map(rotationDocument) })
    return EXIT.ok
  }
  if (outcomes.length === 0) {
    io.stdout('There is no such rotation.\n')
    return EXIT.ok
  }
  const names = new Map((await api.all('tunnels.list', { params })).map(({ id, name }) => [id, name]))
  io.stdout(renderOutcomes(outcomes, (rotation) => names.get(rotation.tunnel) ?? rotation.tunnel, io, true))
  return EXIT.ok
}

/** The exit code tells whether its evidence verifies. */
export async function showRotation(input: CommandInput, io: CliIo): Promise<number> {
  const place = await openNetwork(input, io)
  const { api, params, network } = place
  const rotation = await api.value('rotations.get', { params: { ...params, rotation: input.args[0]! } })
  const evidenceKey = textOption(input, 'evidenceKey') ?? network.evidenceKey
  const verified = await verifyEvidence(rotation, network.id, evidenceKey)
  const code = verified?.genuine === false ? EXIT.notGenuine : EXIT.ok
  if (input.options.json === true) {
    printJson(io, rotationDocument({ rotation, verified }))
    return code
  }
  const tunnels = await api.all('tunnels.list', { params })
  const now = nowOf(io)
  const fields = [
    ['tunnel', tunnels.find(({ id }) => id === rotation.tunnel)?.name ?? rotation.tunnel],
    ['state', rotationCell(rotation)],
    ['since', ago(rotation.stateSince, now)],
    ['given up', rotation.deadline === undefined ? undefined : `in ${since(now, rotation.deadline)}`],
    ['by', rotation.startedBy],
    ['run', rotation.run],
    ['old key', keyText(rotation.from, rotation.oldFingerprint)],
    ['new key', keyText(rotation.to, rotation.newFingerprint)],
    ['reason', rotation.reason],
    ['evidence', evidenceCell(verified)],
  ] as const
  io.stdout(`Rotation ${rotation.id}\n${renderFields(fields, io)}`)
  if (verified?.genuine === true) {
    const { evidence } = verified
    const figures = [
      ['began', `${moment(evidence.startedAt)} UTC`],
      ['ended', `${moment(evidence.finishedAt)} UTC`],
      ['packets sent', grouped(evidence.packetsSent)],
      ['packets lost', { text: grouped(evidence.packetsLost), style: evidence.packetsLost === 0 ? 'green' : 'red' }],
      ['measured by', evidence.measured === 'counters' ? 'counters of both ends' : 'sequence numbers'],
      ['both ends told', evidence.complete ? 'all the time' : 'in part: the figures are of what they told'],
    ] as const
    io.stdout(`\nThe evidence says\n${renderFields(figures, io)}`)
  }
  return code
}

export async function abortRotation(input: CommandInput, io: CliIo): Promise<number> {
  const { api, params } = await openNetwork(input, io)
  const rotation = await api.value('rotations.abort', { params: { ...params, rotation: input.args[0]! } })
  if (input.options.json === true) printJson(io, rotation)
  else io.stdout(`Rotation ${rotation.id} is ${rotation.state}: the old key goes on working.\n`)
  return EXIT.ok
}

function keyText(epoch: number | undefined, fingerprint: string | undefined): string | undefined {
  if (epoch === undefined) return undefined
  return fingerprint === undefined ? `epoch ${epoch}` : `epoch ${epoch}, ${fingerprint}`
}

function evidenceCell(verified: Awaited<ReturnType<typeof verifyEvidence>>): Cell {
  if (verified === undefined) return 'none yet'
  return verified.genuine
    ? { text: 'verifies', style: 'green' }
    : { text: `does not verify: ${verified.why}`, style: 'red' }
}
