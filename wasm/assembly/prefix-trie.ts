/**
 * IPv6 prefixes longer than 64 bits: a path-compressed binary trie. A node without a route has two children, so n routes
 * need fewer than 2n nodes and the pool cannot run out before the forwarding table is full. Addresses are numbers as in
 * `Packet`.
 */
import { TRIE_NODE_BYTES, TRIE_NODES } from './reserve'

/** 32 bytes. Links are node numbers; 0 is none. */
@unmanaged
class Node {
  high: u64
  low: u64
  left: u32
  right: u32
  bits: u32
  /** Group + 1, or 0 for a branching node without a route. */
  route: u32
}

/** Read and written as any other link. */
const ROOT: usize = memory.data(16, 16)

export const TRIE_REPLACED: u32 = 0
export const TRIE_ADDED: u32 = 1
export const TRIE_REFUSED: u32 = 2

let freeList: u32 = 0
let unused: u32 = 1

// @ts-ignore: decorator
@inline
function nodeAt(index: u32): Node {
  return changetype<Node>(TRIE_NODES + <usize>index * TRIE_NODE_BYTES)
}

// @ts-ignore: decorator
@inline
export function maskHigh(bits: u32): u64 {
  return bits == 0 ? 0 : bits >= 64 ? u64.MAX_VALUE : u64.MAX_VALUE << (64 - bits)
}

// @ts-ignore: decorator
@inline
export function maskLow(bits: u32): u64 {
  return bits <= 64 ? 0 : u64.MAX_VALUE << (128 - bits)
}

// @ts-ignore: decorator
@inline
function covers(node: Node, high: u64, low: u64): bool {
  return (((high ^ node.high) & maskHigh(node.bits)) | ((low ^ node.low) & maskLow(node.bits))) == 0
}

/** The address of the link from `node` towards an address. */
// @ts-ignore: decorator
@inline
function linkTowards(node: Node, high: u64, low: u64): usize {
  const bits = node.bits
  const bit = bits < 64 ? (high >> (63 - bits)) & 1 : (low >> (127 - bits)) & 1
  return changetype<usize>(node) + offsetof<Node>('left') + (<usize>bit << 2)
}

/** Group of the longest prefix that covers the address, or -1. */
export function trieLookup(high: u64, low: u64): i32 {
  let best: u32 = 0
  let index = load<u32>(ROOT)
  while (index != 0) {
    const node = nodeAt(index)
    if (!covers(node, high, low)) break
    if (node.route != 0) best = node.route
    if (node.bits == 128) break
    index = load<u32>(linkTowards(node, high, low))
  }
  return <i32>best - 1
}

/** Inserts, if `mayAdd`, or replaces. Host bits must be zero. Returns a TRIE_ number. */
export function trieInsert(high: u64, low: u64, bits: u32, group: u32, mayAdd: bool): u32 {
  let link = ROOT
  while (true) {
    const index = load<u32>(link)
    if (index == 0) {
      if (!mayAdd) return TRIE_REFUSED
      store<u32>(link, makeNode(high, low, bits, group + 1))
      return TRIE_ADDED
    }
    const node = nodeAt(index)
    const common = min<u32>(commonBits(node, high, low), min<u32>(node.bits, bits))
    if (common == node.bits && common == bits) {
      const added = node.route == 0
      if (added && !mayAdd) return TRIE_REFUSED
      node.route = group + 1
      return added ? TRIE_ADDED : TRIE_REPLACED
    }
    if (common == node.bits) {
      link = linkTowards(node, high, low)
      continue
    }
    if (!mayAdd) return TRIE_REFUSED
    splitAbove(link, index, common, high, low, bits, group + 1)
    return TRIE_ADDED
  }
}

/** Puts the new prefix above `index`: as its parent, or as its sibling under a new branching node. */
function splitAbove(link: usize, index: u32, common: u32, high: u64, low: u64, bits: u32, route: u32): void {
  const node = nodeAt(index)
  const leaf = makeNode(high, low, bits, route)
  if (common == bits) {
    store<u32>(linkTowards(nodeAt(leaf), node.high, node.low), index)
    store<u32>(link, leaf)
    return
  }
  const branch = makeNode(high & maskHigh(common), low & maskLow(common), common, 0)
  store<u32>(linkTowards(nodeAt(branch), node.high, node.low), index)
  store<u32>(linkTowards(nodeAt(branch), high, low), leaf)
  store<u32>(link, branch)
}

/** Returns whether the prefix was there. */
export function trieDelete(high: u64, low: u64, bits: u32): bool {
  let parentLink: usize = 0
  let link = ROOT
  while (true) {
    const index = load<u32>(link)
    if (index == 0) return false
    const node = nodeAt(index)
    if (node.bits > bits || !covers(node, high, low)) return false
    if (node.bits == bits) break
    parentLink = link
    link = linkTowards(node, high, low)
  }
  const node = nodeAt(load<u32>(link))
  if (node.route == 0) return false
  node.route = 0
  spliceOut(link)
  if (parentLink != 0) spliceOut(parentLink)
  return true
}

/** Frees the node behind `link` if it has neither a route nor two children. */
function spliceOut(link: usize): void {
  const index = load<u32>(link)
  const node = nodeAt(index)
  if (node.route != 0 || (node.left != 0 && node.right != 0)) return
  store<u32>(link, node.left | node.right)
  node.left = freeList
  freeList = index
}

function makeNode(high: u64, low: u64, bits: u32, route: u32): u32 {
  let index = freeList
  if (index != 0) freeList = nodeAt(index).left
  else index = unused++
  const node = nodeAt(index)
  node.high = high
  node.low = low
  node.left = 0
  node.right = 0
  node.bits = bits
  node.route = route
  return index
}

function commonBits(node: Node, high: u64, low: u64): u32 {
  const differenceHigh = node.high ^ high
  if (differenceHigh != 0) return <u32>clz<u64>(differenceHigh)
  return 64 + <u32>clz<u64>(node.low ^ low)
}

/** Nodes in use. */
export function trieNodes(): u32 {
  let free: u32 = 0
  for (let index = freeList; index != 0; index = nodeAt(index).left) free++
  return unused - 1 - free
}
