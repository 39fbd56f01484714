import { aesTables } from './aes-tables.ts'
import { chacha20Kernel } from './chacha20-kernel.ts'
import { ghashKernel } from './ghash-kernel.ts'

/** Every generated file of wasm/assembly/: its name and its text. */
export function generatedSources(): Map<string, string> {
  return new Map([
    ['aes-tables.ts', aesTables()],
    ['chacha20-lanes4.ts', chacha20Kernel(4)],
    ['chacha20-lanes8.ts', chacha20Kernel(8)],
    ['ghash-kernel.ts', ghashKernel()],
  ])
}
