/** What the stand-in reads and writes, against the SDK's own serialiser and parser. */
import * as sdk from '@aws-sdk/client-ec2'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { HANDLERS } from './ec2-operations.ts'
import {
  type Fields,
  type Member,
  operationOf,
  parseInput,
  type Ref,
  renderOutput,
  shapeOf,
  type Value,
} from './sdk-model.ts'

const ACTIONS = Object.keys(HANDLERS)
const RUNS = 15

/** Values of a shape of the model, at least one of each list where `least` is 1. */
function valuesOf(ref: Ref, least: 0 | 1): fc.Arbitrary<Value> {
  const shape = shapeOf(ref)
  switch (shape.kind) {
    case 'text':
      return fc.stringMatching(/^[!-~äß€]([ -~äß€]{0,10}[!-~äß€])?$/)
    case 'number':
      return fc.integer({ min: 0 })
    case 'boolean':
      return fc.boolean()
    case 'instant':
      return fc.integer({ min: 0, max: 4_102_444_800 }).map((seconds) => new Date(seconds * 1000))
    case 'list':
      return fc.array(valuesOf(shape.item, least), { minLength: least, maxLength: 2 })
    case 'structure':
      return fieldsOf(shape.members, least)
  }
}

/** What is required, and the first at any rate: a structure without content does not travel. */
function fieldsOf(members: readonly Member[], least: 0 | 1): fc.Arbitrary<Fields> {
  const values = Object.fromEntries(members.map(({ name, ref }) => [name, valuesOf(ref, least)]))
  const requiredKeys = members.filter(({ required }, index) => required || index === 0).map(({ name }) => name)
  return fc.record(values, { requiredKeys }) as fc.Arbitrary<Fields>
}

/** Sends a command and answers it, without a network. */
async function exchange(action: string, input: Fields, output: Fields) {
  let body = ''
  const client = new sdk.EC2Client({
    region: 'eu-central-1',
    credentials: { accessKeyId: 'a', secretAccessKey: 'b' },
    requestHandler: {
      handle: async (request: { readonly body: string }) => {
        body = request.body
        const answer = new TextEncoder().encode(renderOutput(action, output, 'r'))
        return { response: { statusCode: 200, headers: {}, body: new Blob([answer]).stream() } }
      },
    } as never,
  })
  const commands = sdk as unknown as Record<string, new (input: Fields) => never>
  const { $metadata: _, ...answer } = (await client.send(new commands[`${action}Command`]!(input))) as unknown as Fields
  const params = new Map(new URLSearchParams(body))
  expect(params.get('Action')).toBe(action)
  expect(params.get('Version')).toBe('2016-11-15')
  params.delete('Action')
  params.delete('Version')
  return { answer, parsed: parseInput(operationOf(action)!, params) }
}

describe('the model', () => {
  test.each(ACTIONS)('%s is read as the SDK sends it, and written as the SDK reads it', async (action) => {
    const { input, output } = operationOf(action)!
    const answers = shapeOf(output).kind === 'structure' ? valuesOf(output, 0) : fc.constant({})
    await fc.assert(
      fc.asyncProperty(valuesOf(input, 1), answers, async (asked, told) => {
        const { answer, parsed } = await exchange(action, asked as Fields, told as Fields)
        expect(parsed).toMatchObject({ unknown: [], malformed: [], missing: [] })
        expect({ ...parsed.input }).toEqual(asked)
        expect(answer).toEqual(told)
      }),
      { numRuns: RUNS },
    )
  })

  test('a name that the model has not is never read or written', () => {
    const { input } = parseInput(operationOf('DeleteVpnGateway')!, new Map([['VpnGatewayId', 'vgw-1']]))
    expect(input.VpnGatewayId).toBe('vgw-1')
    expect(() => input.GatewayId).toThrow('DeleteVpnGatewayRequest has no GatewayId')
    expect(() => renderOutput('CreateRoute', { Returned: true }, 'r')).toThrow('CreateRouteResult has no Returned')
    expect(operationOf('DescribeNothing')).toBeUndefined()
    expect(operationOf('Vpc')).toBeUndefined()
  })

  test.each([
    ['what nobody knows', [['VpnGatewayID', 'vgw-1']], { unknown: ['VpnGatewayID'], missing: ['VpnGatewayId'] }],
    ['what is missing', [], { missing: ['VpnGatewayId'] }],
    [
      'no boolean',
      [
        ['VpnGatewayId', 'vgw-1'],
        ['DryRun', 'yes'],
      ],
      { malformed: ['DryRun'] },
    ],
  ])('%s', (_, params, faults) => {
    const parsed = parseInput(operationOf('DeleteVpnGateway')!, new Map(params as [string, string][]))
    expect(parsed).toMatchObject({ unknown: [], malformed: [], missing: [], ...faults })
  })

  test.each(['', '1e3', '0x10', 'Infinity', '9'.repeat(40)])('no number: %s', (text) => {
    const operation = operationOf('DescribeVpcs')!
    expect(parseInput(operation, new Map([['MaxResults', text]])).malformed).toEqual(['MaxResults'])
  })

  test('a gap in a list is no part of it', () => {
    const params = new Map([
      ['VpcId.1', 'vpc-1'],
      ['VpcId.3', 'vpc-3'],
    ])
    const { input, unknown } = parseInput(operationOf('DescribeVpcs')!, params)
    expect([{ ...input }, unknown]).toEqual([{ VpcIds: ['vpc-1'] }, ['VpcId.3']])
  })
})
