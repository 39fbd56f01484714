import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { afterEach, describe, expect, it } from 'vitest'
import { createWorld, skipWithoutNamespaces, type World } from './netns.ts'
import { ping } from './ping.ts'
import { until } from './until.ts'

describe.skipIf(skipWithoutNamespaces('the namespace helper'))('worlds of namespaces', () => {
  let world: World | undefined
  afterEach(async () => world?.close())

  it('joins two namespaces, IPv4 and IPv6', async () => {
    world = await createWorld()
    await world.ns('a')
    await world.ns('b')
    await world.link('a', 'b', {
      addresses: [
        ['192.0.2.1/24', '2001:db8::1/64'],
        ['192.0.2.2/24', '2001:db8::2/64'],
      ],
    })
    const once = { count: 1, intervalMs: 100 }
    expect(await ping(world, 'a', '192.0.2.2', once)).toMatchObject({ sent: 1, received: 1 })
    expect(await ping(world, 'b', '2001:db8::1', once)).toMatchObject({ sent: 1, received: 1 })
    const failed = await world.exec('a', 'echo out; exit 3', { check: false })
    expect(failed).toMatchObject({ code: 3, stdout: 'out\n' })
    await expect(world.exec('a', ['false'])).rejects.toThrow('in a: false')
  })

  it('watches, stops and forgets processes', async () => {
    world = await createWorld()
    await world.ns('a')
    const spawned = world.spawn('a', 'echo started; sleep 100')
    await spawned.waitFor(/started/)
    await world.close()
    expect(await spawned.exited).toBe('SIGTERM')
  })

  it('ends what a killed owner left', async () => {
    const script = `
      const { createWorld } = await import(${JSON.stringify(new URL('./netns.ts', import.meta.url).href)})
      const world = await createWorld()
      await world.ns('a')
      const child = world.spawn('a', ['sleep', '100'])
      const grandchild = world.spawn('a', 'sleep 100 & echo pid $!; wait')
      const [, pid] = await grandchild.waitFor(/pid (\\d+)/)
      console.log('pids ' + child.pid + ' ' + pid)`
    const owner = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const [line] = (await once(owner.stdout, 'data')) as [Buffer]
    const [child, grandchild] = line.toString().match(/\d+/g)!.map(Number) as [number, number]
    expect([alive(child), alive(grandchild)]).toEqual([true, true])
    owner.kill('SIGKILL')
    await once(owner, 'exit')
    await until('its process to end with it', () => !alive(child))
    expect(alive(grandchild)).toBe(true)
    world = await createWorld()
    await until('the next world to end the rest', () => !alive(grandchild))
  })
})

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
