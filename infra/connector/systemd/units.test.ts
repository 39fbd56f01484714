import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { readUnit, type Unit, wordsOf } from './unit-file.ts'

const root = resolve(import.meta.dirname, '../../..')
const read = (name: string): Unit => readUnit(readFileSync(join(import.meta.dirname, name), 'utf8'))
const CAPABILITIES = ['CAP_NET_ADMIN', 'CAP_NET_RAW', 'CAP_NET_BIND_SERVICE']

describe.each(['isthmus.service', 'isthmus-control.service'])('%s', (name) => {
  const unit = read(name)

  test('starts a program that is there, with words that the program knows', async () => {
    const [node, main, verb] = unit.get('Service.ExecStart')![0]!.split(' ')
    expect(node).toBe('/opt/isthmus/node_modules/.bin/node')
    expect(existsSync(join(root, main!.replace('/opt/isthmus/', '')))).toBe(true)
    const { COMMANDS } = await import('../../../connector/cli/commands.ts')
    expect(COMMANDS.map((command) => command.name)).toContain(verb)
  })

  test('comes back whatever ended it, but for what only a person can mend', () => {
    expect(unit.get('Service.Restart')).toEqual(['always'])
    expect(unit.get('Unit.StartLimitIntervalSec')).toEqual(['0'])
    // usage and badConfig of the exit codes.
    expect(wordsOf(unit, 'Service.RestartPreventExitStatus')).toEqual(['2', '3'])
  })

  test('may write its state and nothing else, and gains nothing by programs that it starts', () => {
    expect(unit.get('Service.ProtectSystem')).toEqual(['strict'])
    expect(unit.get('Service.NoNewPrivileges')).toEqual(['yes'])
    expect(unit.has('Service.ReadWritePaths')).toBe(false)
    expect(unit.get('Service.UMask')).toEqual(['0077'])
  })

  test('leaves V8 its machine code', () => {
    expect(unit.get('Service.MemoryDenyWriteExecute')).toEqual(['no'])
  })
})

test('the connector has the capabilities that its own words ask for, and one device', () => {
  const unit = read('isthmus.service')
  expect(wordsOf(unit, 'Service.CapabilityBoundingSet')).toEqual(CAPABILITIES)
  expect(wordsOf(unit, 'Service.AmbientCapabilities')).toEqual(CAPABILITIES)
  expect(readFileSync(join(root, 'connector/io/tun.ts'), 'utf8')).toContain(CAPABILITIES.join(' '))
  expect(unit.get('Service.DeviceAllow')).toEqual(['/dev/net/tun rw'])
})

test('the control plane has no capability and no device', () => {
  const unit = read('isthmus-control.service')
  expect(unit.get('Service.CapabilityBoundingSet')).toEqual([''])
  expect(unit.has('Service.AmbientCapabilities')).toBe(false)
  expect(unit.get('Service.PrivateDevices')).toEqual(['yes'])
})

test.each(['ExecStart=x', '[Service]\nnonsense', '[Service'])('a file that is no unit is refused: %j', (text) => {
  expect(() => readUnit(text)).toThrow(SyntaxError)
})
