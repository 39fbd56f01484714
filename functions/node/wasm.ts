/** The AEAD's module from the folder where it was built. The package's build puts the bytes here instead. */
import { readFileSync } from 'node:fs'

export function compile(): WebAssembly.Module {
  return new WebAssembly.Module(readFileSync(new URL('../../wasm/build/stream.strict.wasm', import.meta.url)))
}
