/** The relay's machine, driven by hand. For tests only. */
import { Exchange } from '../exchange.ts'
import { EXCHANGE_LIMITS, type ExchangeEffect, type ExchangeInput, type ExchangeLimits } from '../types.ts'

export const HQ = { network: 'net', connector: 'hq' } as const
export const FLIGHT = Uint8Array.of(1, 2, 3)

export const call = (socket: number, more: object = {}): ExchangeInput => ({
  type: 'call',
  socket,
  function: 'orders',
  issuedAt: 50,
  ...HQ,
  ...more,
})
export const serve = (socket: number, more: object = {}): ExchangeInput => ({ type: 'serve', socket, ...HQ, ...more })
export const message = (socket: number, data = FLIGHT): ExchangeInput => ({ type: 'message', socket, data })
export const closed = (socket: number, code = 1000, reason = ''): ExchangeInput => ({
  type: 'closed',
  socket,
  code,
  reason,
})
export const TIME: ExchangeInput = { type: 'time' }

export class Driven {
  readonly exchange: Exchange
  now = 1000

  constructor(limits: Partial<ExchangeLimits> = {}) {
    this.exchange = new Exchange({ ...EXCHANGE_LIMITS, ...limits })
  }

  /** What the inputs bring about, in short. */
  give(...inputs: ExchangeInput[]): string[] {
    return this.take(...inputs).map(short)
  }

  take(...inputs: ExchangeInput[]): ExchangeEffect[] {
    for (const input of inputs) this.exchange.handle(input, this.now)
    const effects: ExchangeEffect[] = []
    for (let effect = this.exchange.poll(); effect !== undefined; effect = this.exchange.poll()) effects.push(effect)
    return effects
  }

  after(ms: number, ...inputs: ExchangeInput[]): string[] {
    this.now += ms
    return this.give(...inputs)
  }
}

export function short(effect: ExchangeEffect): string {
  switch (effect.type) {
    case 'call-connector':
      return `call ${effect.connector}`
    case 'join':
      return `join ${effect.function}+${effect.connector}`
    case 'send':
      return `send ${effect.socket} ${typeof effect.data === 'string' ? effect.data : effect.data.length}`
    case 'close':
      return `close ${effect.socket} ${effect.code}`
    case 'ended':
      return `ended ${effect.pair.why}`
    case 'refused':
      return `refused ${effect.why}`
  }
}

export function driven(...inputs: ExchangeInput[]): Driven {
  const made = new Driven()
  made.give(...inputs)
  return made
}
