/** Routes on their way to the neighbour: as few messages as they fit into, no more waiting than is said. */
import type { Family } from '../../../protocol/net.ts'
import type { RouteInput } from './session-types.ts'
import {
  afiOf,
  type EncodeOptions,
  encodeEndOfRib,
  encodeRefresh,
  type NextHop,
  type PathAttributes,
  type PrefixBlock,
  packAnnouncement,
  packWithdrawal,
  partOf,
  REFRESH,
} from './wire/codec.ts'

/** Prefixes that may wait. RIBs hand in more when there is room. */
export const QUEUE_PREFIXES = 65_536
/** Neighbouring inputs of the same attributes become one up to this size. */
const JOINED_PREFIXES = 2_048

interface Entry {
  readonly attributes?: PathAttributes
  readonly nextHop?: NextHop
  block: PrefixBlock
  from: number
}

type Item = Entry | { readonly message: Uint8Array }

export interface Packed {
  readonly message?: Uint8Array
  /** Fits into no message. A withdrawal of it follows. */
  readonly unsendable?: PrefixBlock
}

export class SendQueue {
  private readonly items: Item[] = []
  private first = 0
  private waiting = 0
  private readonly options: EncodeOptions

  constructor(options: EncodeOptions) {
    this.options = options
  }

  /** Prefixes that wait; what is no route counts as one. */
  get length(): number {
    return this.waiting
  }

  /** Half of it is free again: handing in one route at a time for each that leaves would be a waste. */
  get hasRoom(): boolean {
    return this.waiting <= QUEUE_PREFIXES / 2
  }

  /** False where it is full; then nothing was taken. One input may go over the bound, however large it is. */
  offer(input: RouteInput): boolean {
    if (this.waiting >= QUEUE_PREFIXES) return false
    switch (input.type) {
      case 'announce':
        this.add({ attributes: input.attributes, nextHop: input.nextHop, block: input.prefixes, from: 0 })
        return true
      case 'withdraw':
        this.add({ block: input.prefixes, from: 0 })
        return true
      default:
        this.items.push({ message: messageOf(input.type, input.family) })
        this.waiting++
        return true
    }
  }

  private add(entry: Entry): void {
    const count = entry.block.lengths.length
    if (count === 0) return
    this.waiting += count
    const last = this.items.length > this.first ? this.items.at(-1) : undefined
    if (last !== undefined && !('message' in last) && joins(last, entry)) {
      last.block = join(partOf(last.block, last.from, last.block.lengths.length), entry.block)
      last.from = 0
    } else this.items.push(entry)
  }

  /** The next message, or undefined when nothing waits. */
  next(): Packed | undefined {
    const item = this.items[this.first]
    if (item === undefined) return undefined
    if ('message' in item) {
      this.drop()
      this.waiting--
      return { message: item.message }
    }
    const packed = this.pack(item)
    if (packed === undefined) {
      const unsendable = partOf(item.block, item.from, item.block.lengths.length)
      this.items[this.first] = { block: unsendable, from: 0 }
      return { unsendable }
    }
    this.waiting -= packed.next - item.from
    item.from = packed.next
    if (item.from === item.block.lengths.length) this.drop()
    return { message: packed.message }
  }

  private pack({ attributes, nextHop, block, from }: Entry) {
    if (attributes === undefined || nextHop === undefined) return packWithdrawal(block, from, this.options)
    return packAnnouncement(attributes, nextHop, block, from, this.options)
  }

  private drop(): void {
    this.first++
    if (this.first < 256 && this.first < this.items.length) return
    this.items.splice(0, this.first)
    this.first = 0
  }
}

function messageOf(
  type: 'end-of-rib' | 'request-refresh' | 'refresh-begin' | 'refresh-end',
  family: Family,
): Uint8Array {
  if (type === 'end-of-rib') return encodeEndOfRib(afiOf(family))
  const subtype = { 'request-refresh': REFRESH.request, 'refresh-begin': REFRESH.begin, 'refresh-end': REFRESH.end }[
    type
  ]
  return encodeRefresh({ ...afiOf(family), subtype })
}

/** Attributes that are interned are the same object. */
function joins(last: Entry, entry: Entry): boolean {
  return (
    last.attributes === entry.attributes &&
    last.block.family === entry.block.family &&
    last.nextHop?.address === entry.nextHop?.address &&
    last.nextHop?.linkLocal === entry.nextHop?.linkLocal &&
    last.block.lengths.length - last.from + entry.block.lengths.length <= JOINED_PREFIXES
  )
}

function join(left: PrefixBlock, right: PrefixBlock): PrefixBlock {
  const lengths = new Uint8Array(left.lengths.length + right.lengths.length)
  lengths.set(left.lengths)
  lengths.set(right.lengths, left.lengths.length)
  const words = new Uint32Array(left.words.length + right.words.length)
  words.set(left.words)
  words.set(right.words, left.words.length)
  return { family: left.family, lengths, words }
}
