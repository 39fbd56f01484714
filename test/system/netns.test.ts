import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { afterEach, describe, expect, it } from 'vitest'
import { createWorld, skipWithoutNamespaces, type World } from './netns.ts'

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
    expect((await world.exec('a', ['ping', '-c1', '-W2', '192.0.2.2'])).stdout).toContain('1 received')
    expect((await world.exec('b', ['ping', '-c1', '-W2', '2001:db8::1'])).stdout).toContain('1 received')
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
      console.log('pid ' + world.spawn('a', ['sleep', '100']).pid)`
    const owner = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const [line] = (await once(owner.stdout, 'data')) as [Buffer]
    const left = Number(line.toString().match(/pid (\d+)/)?.[1])
    expect(() => process.kill(left, 0)).not.toThrow()
    owner.kill('SIGKILL')
    await once(owner, 'exit')
    world = await createWorld()
    for (let tries = 0; tries < 100 && alive(left); tries++) await new Promise((resolve) => setTimeout(resolve, 20))
    expect(alive(left)).toBe(false)
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
