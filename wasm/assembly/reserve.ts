/**
 * The tables whose size is chosen when the engine is made. They lie behind the static memory, at addresses that
 * `reserve` works out; nothing moves or grows afterwards. Every table fills from its start or is indexed by what is
 * in use, so that memory is touched only as far as it is needed.
 */
import { MAX_CONTEXTS, MAX_ROUTES, MAX_SAS, MAX_SELECTORS } from '../abi'
import { AEAD_CTX_BYTES, AEAD_KEYS_BYTES } from './aead'

/** Room of one SA: its record, drop counters, key. */
export const SA_RECORD_BYTES: u32 = 256
export const SA_DROPS_BYTES: u32 = 256
export const SA_KEY_BYTES: u32 = 384
export const SA_STRIDE: u32 = 896
export const SELECTOR_BYTES: u32 = 48
export const WINDOW_BYTES: u32 = 1024
/** Of a hash table: see hash-table.ts. */
export const BUCKET_BYTES: u32 = 128
export const TRIE_NODE_BYTES: u32 = 32

export let maxSas: u32 = 0
export let maxRoutes: u32 = 0
export let maxContexts: u32 = 0
export let SAS: usize = 0
export let SA_GENERATIONS: usize = 0
export let WINDOWS: usize = 0
export let SELECTORS: usize = 0
export let CONTEXTS: usize = 0
export let CONTEXT_USES: usize = 0
export let CONTEXT_OWNERS: usize = 0
/** Buckets and overflow buckets of the two tables of prefixes. */
export let FIB_BUCKETS: u32 = 0
export let FIB_SPILLS: u32 = 0
export let FIB_BLOCKS: usize = 0
export let FIB_ROUTES: usize = 0
export let TRIE_NODES: usize = 0

if (AEAD_KEYS_BYTES > SA_KEY_BYTES) ERROR('SA keys too long')

let next: usize = 0

function take(bytes: usize): usize {
  const at = next
  next = (next + bytes + 63) & ~63
  return at
}

/** Once, before anything else. Returns false when the sizes are out of range or the host has no such memory. */
export function reserve(sas: u32, routes: u32): bool {
  if (maxSas != 0 || sas == 0 || routes == 0 || sas > <u32>MAX_SAS || routes > <u32>MAX_ROUTES) return false
  next = (__heap_base + 63) & ~63
  SAS = take(<usize>sas * SA_STRIDE)
  SA_GENERATIONS = take(<usize>sas << 2)
  WINDOWS = take(<usize>sas * WINDOW_BYTES)
  SELECTORS = take(<usize>sas * 2 * MAX_SELECTORS * SELECTOR_BYTES)
  maxContexts = min<u32>(sas, MAX_CONTEXTS)
  // Slot 0 is nobody's.
  CONTEXTS = take(<usize>(maxContexts + 1) * AEAD_CTX_BYTES)
  CONTEXT_USES = take(<usize>(maxContexts + 1) << 2)
  CONTEXT_OWNERS = take(<usize>(maxContexts + 1) << 2)
  FIB_BUCKETS = routes / 3 + 8
  FIB_SPILLS = routes / 5 + 32
  FIB_BLOCKS = take(<usize>(FIB_BUCKETS + FIB_SPILLS) * BUCKET_BYTES)
  FIB_ROUTES = take(<usize>(FIB_BUCKETS + FIB_SPILLS) * BUCKET_BYTES)
  TRIE_NODES = take(<usize>routes * 2 * TRIE_NODE_BYTES)
  const pages = <i32>((next + 0xffff) >> 16) - memory.size()
  if (pages > 0 && memory.grow(pages) < 0) return false
  maxSas = sas
  maxRoutes = routes
  return true
}
