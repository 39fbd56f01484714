import { expect, it } from 'vitest'
import type { TunnelSetting } from './commands.ts'
import { TunnelGrowth } from './tunnel-counts.ts'

const setting = (handle: number, more: Partial<TunnelSetting> = {}): TunnelSetting => {
  return { handle, pathMtu: 1500, clampMss: true, copyDscp: true, children: [], ...more }
}

it('tells what has grown since it was last asked, of tunnels that count at all', () => {
  const counts = new Map<number, { transit: number; asymmetric: number }>()
  const asked: number[] = []
  const engine = {
    tunnelCounters: (tunnel: number) => {
      asked.push(tunnel)
      return counts.get(tunnel) ?? { transit: 0, asymmetric: 0 }
    },
  }
  const growth = new TunnelGrowth()
  growth.set(setting(1, { transit: true }))
  growth.set(setting(2))
  growth.set(setting(3, { reversePath: 'loose' }))
  expect(growth.take(engine)).toEqual([])
  expect(asked).toEqual([1, 3])
  counts.set(1, { transit: 5, asymmetric: 0 }).set(3, { transit: 0, asymmetric: 2 })
  expect(growth.take(engine)).toEqual([
    { tunnel: 1, transit: 5, asymmetric: 0 },
    { tunnel: 3, transit: 0, asymmetric: 2 },
  ])
  counts.set(1, { transit: 7, asymmetric: 0 })
  growth.set(setting(1, { transit: true, down: true }))
  expect(growth.take(engine)).toEqual([{ tunnel: 1, transit: 2, asymmetric: 0 }])
  // Its number is another tunnel's now, which counts from the beginning.
  growth.remove(1)
  counts.set(1, { transit: 1, asymmetric: 0 })
  growth.set(setting(1, { transit: true }))
  expect(growth.take(engine)).toEqual([{ tunnel: 1, transit: 1, asymmetric: 0 }])
})
