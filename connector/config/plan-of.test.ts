import { expect, test } from 'vitest'
import { planOf } from './plan-of.ts'
import { configSchema } from './schema.ts'
import { faultTexts, SIMPLE } from './testing.ts'

const peer = (address: string) => ({ address, networks: ['10.2.0.0/16'], secret: { env: 'X' } })

function plan(workers: unknown, cores: number) {
  const peers = { one: peer('198.51.100.1'), two: peer('198.51.100.2'), three: peer('198.51.100.3') }
  const networks = ['10.1.0.0/16']
  const config = configSchema.parse({ site: 'hq', address: '192.0.2.1', networks, peers, workers })
  const secrets = new Map(Object.keys(peers).map((name) => [name, new Uint8Array(16)]))
  return planOf(config, secrets, (path) => path, cores)
}

test.each([
  [1, 1],
  [2, 1],
  [3, 1],
  [4, 2],
  [16, 8],
  [128, 8],
])('of %d cores, %d packet workers by themselves', (cores, workers) => {
  expect(plan(undefined, cores).workers).toBe(workers)
  expect(plan('auto', cores).workers).toBe(workers)
})

test('peers are spread over as many packet workers as asked for', () => {
  const { workers, connections } = plan(2, 64)
  expect(workers).toBe(2)
  expect(connections.map(({ ike }) => ike.resource)).toEqual([0, 1, 0])
})

test.each(['0', '17', '1.5', 'many'])('workers: %s is refused in words', (text) => {
  const [fault] = faultTexts(`${SIMPLE}workers: ${text}\n`)
  expect(fault).toMatch(
    /^isthmus.yaml:9:10: workers: "?[\w.]+"? is not auto or a whole number from 1 to 16; choose one/,
  )
})
