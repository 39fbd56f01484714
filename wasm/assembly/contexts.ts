/**
 * From keys to AEAD contexts. An SA has its keys: of AES-GCM the round keys and a few powers of the hash key. A context
 * has 8 KB of tables more, with which hashing takes a third of the time once they are in a cache. So it is made for an SA
 * that carries much, in a slot of a pool, and used while the SA is busy; packets of others do with the keys, which are 6
 * lines of a cache in place of 70. Where the pool is full, a slot that has not been used for a while is taken over. A
 * ChaCha20-Poly1305 context is its key; it lies in the SA.
 */
import { SUITE_CHACHA20_POLY1305 } from '../abi'
import { AEAD_CTX_BYTES, aeadExpand, aeadInit, aeadWipe } from './aead'
import { CONTEXT_OWNERS, CONTEXT_USES, CONTEXTS, maxContexts, SA_KEY_BYTES } from './reserve'
import { keyOf, Sa, saAt, saIndex } from './sa'

/** Uses for which a context surely stays where it is: more than a batch call has packets. */
const GRACE: u32 = 512
/** An SA is busy when no more packets of others than this come between two of its own. */
const NEAR: u32 = 1024
/** Packets in a row that came near one another, from which on a context is worth making. */
const BUSY: u32 = 8
/** Bytes of text from which on the tables are worth fetching for one packet. */
const LONG: u32 = 512
/** Slots of which the one that has waited longest is taken over. */
const CANDIDATES: u32 = 4

/** Working memory of the AEADs is wiped together with a context; where there is none, with this one. */
const NO_CONTEXT: usize = memory.data(AEAD_CTX_BYTES, 64)

let uses: u32 = 0
/** Slots that have an owner or had one. Slot 0 stands for contexts outside the pool. */
let slotsUsed: u32 = 0
/** Slots without an owner, linked through their number of uses. */
let freeSlots: u32 = 0
let freeCount: u32 = 0
let random: u32 = 0x2545f491

// @ts-ignore: decorator
@inline
function contextAt(slot: u32): usize {
  return CONTEXTS + <usize>slot * AEAD_CTX_BYTES
}

// @ts-ignore: decorator
@inline
function usesOf(slot: u32): usize {
  return CONTEXT_USES + (<usize>slot << 2)
}

// @ts-ignore: decorator
@inline
function ownerOf(slot: u32): usize {
  return CONTEXT_OWNERS + (<usize>slot << 2)
}

/** Takes the key over into the SA. */
export function putKey(sa: Sa, key: usize): void {
  aeadExpand(sa.suite, keyOf(sa), key)
  if (sa.suite == SUITE_CHACHA20_POLY1305) sa.context = keyOf(sa)
}

/** The AEAD context; it stays for the rest of the batch call. */
// @ts-ignore: decorator
@inline
export function contextOf(sa: Sa): usize {
  if (sa.context == 0) expand(sa)
  store<u32>(usesOf(sa.contextSlot), ++uses)
  return sa.context
}

/** Counts a packet. The context where it serves better, and stays for the rest of the batch call; else 0. */
// @ts-ignore: decorator
@inline
export function contextFor(sa: Sa, length: u32): usize {
  if (sa.suite == SUITE_CHACHA20_POLY1305) return sa.context
  sa.heat = ++uses - sa.lastUse > NEAR ? 0 : min(sa.heat + 1, BUSY)
  sa.lastUse = uses
  if (length < LONG && (sa.heat == 0 || (sa.context == 0 && sa.heat < BUSY))) return 0
  if (sa.context == 0) expand(sa)
  store<u32>(usesOf(sa.contextSlot), uses)
  return sa.context
}

/** Wipes key and context. */
export function dropContext(sa: Sa): void {
  memory.fill(keyOf(sa), 0, SA_KEY_BYTES)
  const slot = sa.contextSlot
  if (slot == 0) {
    aeadWipe(NO_CONTEXT)
    return
  }
  aeadWipe(sa.context)
  store<u32>(ownerOf(slot), 0)
  store<u32>(usesOf(slot), freeSlots)
  freeSlots = slot
  freeCount++
}

/** Contexts in the pool. */
export function contextCount(): u32 {
  return slotsUsed - freeCount
}

function expand(sa: Sa): void {
  const slot = takeSlot()
  const context = contextAt(slot)
  aeadInit(sa.suite, context, keyOf(sa))
  store<u32>(ownerOf(slot), saIndex(sa) + 1)
  sa.context = context
  sa.contextSlot = slot
}

function takeSlot(): u32 {
  const slot = freeSlots
  if (slot != 0) {
    freeSlots = load<u32>(usesOf(slot))
    freeCount--
    return slot
  }
  if (slotsUsed < maxContexts) return ++slotsUsed
  return takeOver()
}

/** Never one of this batch call's, and one for every SA where there are as many slots. */
function takeOver(): u32 {
  let oldest: u32 = 0
  let age: u32 = 0
  for (let i: u32 = 0; i < CANDIDATES || age < GRACE; i++) {
    random ^= random << 13
    random ^= random >> 17
    random ^= random << 5
    const slot = 1 + random % maxContexts
    const since = uses - load<u32>(usesOf(slot))
    if (since < age) continue
    oldest = slot
    age = since
  }
  const owner = saAt(load<u32>(ownerOf(oldest)) - 1)
  owner.context = 0
  owner.contextSlot = 0
  memory.fill(contextAt(oldest), 0, AEAD_CTX_BYTES)
  return oldest
}
