import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ANSWER_MS } from './exchange.ts'
import { call, closed, Driven, FLIGHT, message, serve, TIME } from './testing/driven.ts'
import type { ExchangeEffect, ExchangeInput } from './types.ts'

describe('any sequence', () => {
  const connector = fc.constantFrom('hq', 'branch')
  const id = fc.constantFrom('orders', 'invoices')
  const step = fc.oneof(
    fc.record({ do: fc.constant('call' as const), connector, function: id, flight: fc.boolean() }),
    fc.record({ do: fc.constant('serve' as const), connector }),
    fc.record({ do: fc.constantFrom('close', 'lose', 'say', 'misfit'), pick: fc.nat() }),
    fc.record({ do: fc.constant('pass' as const), ms: fc.integer({ min: 1, max: 8000 }) }),
    fc.record({ do: fc.constantFrom('unlinked', 'revoke'), connector }),
    fc.record({ do: fc.constant('revoke-function' as const), function: id }),
  )

  test('joins each socket at most once, closes what it forgets, and forgets all', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
        const one = new Driven({ waitingPerConnector: 3, sparesPerConnector: 2, perConnector: 5, perFunction: 4 })
        const model = new Model()
        let next = 0
        for (const each of steps) {
          const socket = next++
          const input = inputOf(each, socket, model)
          if (input === undefined) continue
          if (each.do === 'pass') one.now += each.ms
          model.give(input)
          for (const effect of one.take(input)) model.take(effect)
          model.check(one)
        }
        for (const socket of [...model.open]) {
          if (!model.open.has(socket)) continue
          model.give(closed(socket, 1006))
          for (const effect of one.take(closed(socket, 1006))) model.take(effect)
        }
        expect(one.exchange.counts).toEqual({ connectors: 0, waiting: 0, heldBytes: 0, spares: 0, pairs: 0 })
        expect(one.exchange.deadline()).toBeUndefined()
      }),
      { numRuns: 300 },
    )
  })

  type Step = typeof step extends fc.Arbitrary<infer T> ? T : never

  function inputOf(each: Step, socket: number, model: Model): ExchangeInput | undefined {
    if (each.do === 'call')
      return call(socket, {
        connector: each.connector,
        function: each.function,
        ...(each.flight ? { first: FLIGHT } : {}),
      })
    if (each.do === 'serve') return serve(socket, { connector: each.connector })
    if (each.do === 'pass') return TIME
    if ('pick' in each) {
      const open = [...model.open]
      if (open.length === 0) return undefined
      const picked = open[each.pick % open.length]!
      if (each.do === 'say') return model.joined.has(picked) ? { type: 'answered', socket: picked } : message(picked)
      return each.do === 'misfit'
        ? { type: 'misfit', socket: picked }
        : closed(picked, each.do === 'lose' ? 1006 : 1000)
    }
    if ('connector' in each) {
      const type = each.do === 'unlinked' ? 'unlinked' : 'connector-revoked'
      return { type, network: 'net', connector: each.connector }
    }
    return { type: 'function-revoked', network: 'net', function: each.function, at: 10 }
  }

  /** What is known of the sockets from outside. */
  class Model {
    readonly open = new Set<number>()
    readonly joined = new Map<number, number>()
    readonly kinds = new Map<number, string>()

    give(input: ExchangeInput): void {
      if (input.type === 'call' || input.type === 'serve') {
        this.open.add(input.socket)
        this.kinds.set(input.socket, `${input.type} ${input.connector}`)
      }
      if (input.type === 'closed') this.open.delete(input.socket)
    }

    take(effect: ExchangeEffect): void {
      if (effect.type === 'join') {
        const { function: caller, connector: server } = effect
        expect([this.kinds.get(caller), this.joined.has(caller), this.joined.has(server)]).toEqual([
          this.kinds.get(server)!.replace('serve', 'call'),
          false,
          false,
        ])
        for (const socket of [caller, server]) expect(this.open.has(socket)).toBe(true)
        this.joined.set(caller, server).set(server, caller)
      }
      if (effect.type === 'send') expect(this.joined.has(effect.socket)).toBe(true)
      if (effect.type === 'close') expect(this.open.delete(effect.socket)).toBe(true)
    }

    check({ exchange, now }: Driven): void {
      const { waiting, spares, pairs } = exchange.counts
      expect(waiting + spares + 2 * pairs).toBe(this.open.size)
      // Nobody waits where a socket is ready.
      const free = [...this.open].filter((socket) => !this.joined.has(socket)).map((socket) => this.kinds.get(socket)!)
      for (const kind of free)
        expect(free).not.toContain(kind.replace(/^\w+/, kind.startsWith('call') ? 'serve' : 'call'))
      const deadline = exchange.deadline()
      if (deadline !== undefined) expect(deadline).toBeLessThanOrEqual(now + ANSWER_MS)
    }
  }
})
