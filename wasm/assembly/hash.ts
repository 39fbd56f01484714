/** Where keys lie in hash tables: mixed with a secret of this engine, so that nobody can choose keys that collide. */
let seed: u64 = 0x9e3779b97f4a7c15

/** Before anything is in a table. */
export function seedHash(high: u32, low: u32): void {
  seed = (<u64>high << 32) | <u64>low
}

/** Every bit of the result depends on every bit of `key` and of the seed. */
// @ts-ignore: decorator
@inline
export function mix(key: u64): u64 {
  return scramble(key ^ seed)
}

/** As `mix`, without the seed: a permutation of 64 bits. */
// @ts-ignore: decorator
@inline
export function scramble(key: u64): u64 {
  let x = key
  x = (x ^ (x >> 32)) * 0xd6e8feb86659fd93
  x = (x ^ (x >> 32)) * 0xd6e8feb86659fd93
  return x ^ (x >> 32)
}
