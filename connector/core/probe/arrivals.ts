/** Which of numbered messages came, and which are lost: one counts as lost when some later ones have overtaken it. */
import type { ProbeCount } from './report.ts'
import { REORDERING } from './wire.ts'

const ALL_CAME = 2 ** REORDERING - 1

export class Arrivals {
  #highest = 0
  #lost = 0
  /** Bit i: whether number `highest - i` came. Numbers below 1 did. */
  #recent = ALL_CAME

  /** The highest number that came. */
  get highest(): number {
    return this.#highest
  }

  /** Of all numbers up to REORDERING below the highest. Never becomes less. */
  get lost(): number {
    return this.#lost
  }

  /** Returns whether it is a number that had not come yet, and was not given up. */
  take(number: number): boolean {
    const ahead = number - this.#highest
    if (ahead <= 0) {
      const bit = 1 << -ahead
      if (-ahead >= REORDERING || (this.#recent & bit) !== 0) return false
      this.#recent |= bit
      return true
    }
    // Of those that a great step passes over, all but the last few are lost at once.
    const far = Math.max(0, ahead - REORDERING)
    for (let step = 0; step < ahead - far; step++) {
      if ((this.#recent & (1 << (REORDERING - 1))) === 0) this.#lost++
      this.#recent = (this.#recent << 1) & ALL_CAME
    }
    this.#lost += far
    this.#recent |= 1
    this.#highest = number
    return true
  }
}

/** Counts that only grow, and shares of the last `WINDOW` of what they count. */
export const WINDOW = 100
/** Fewer tell no share. */
const LEAST = 50
const STEPS = 20

export class LossWindow {
  #sent = 0
  #lost = 0
  /** As it was, oldest first; some `WINDOW / STEPS` apart. */
  readonly #marks: { readonly sent: number; readonly lost: number }[] = [{ sent: 0, lost: 0 }]

  /** Both as counted by now; less than before is ignored. */
  update(sent: number, lost: number): void {
    if (sent <= this.#sent || lost < this.#lost) return
    this.#sent = sent
    this.#lost = lost
    if (sent - this.#marks.at(-1)!.sent >= WINDOW / STEPS) this.#marks.push({ sent, lost })
    while (this.#marks.length > 1 && sent - this.#marks[1]!.sent >= WINDOW) this.#marks.shift()
  }

  /** From the beginning. */
  get counts(): ProbeCount {
    return { sent: this.#sent, lost: this.#lost }
  }

  /** 0 to 1; undefined while too few were sent to tell. */
  get share(): number | undefined {
    const { sent, lost } = this.#marks[0]!
    const count = this.#sent - sent
    return count < LEAST ? undefined : Math.min(1, (this.#lost - lost) / count)
  }
}
