import { defineConfig } from 'vitest/config'

/** Two projects: `unit` needs nothing but this folder; `system` needs Linux, root or user namespaces, and real peers. */
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: [
            'protocol/**/*.test.ts',
            'wasm/**/*.test.ts',
            'connector/**/*.test.ts',
            'control/**/*.test.ts',
            'test/{arch,sim,fuzz,walk,vectors}/**/*.test.ts',
          ],
          testTimeout: 60_000,
          // A hook that compiles the engine shares its core with other files.
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'system',
          include: ['test/{interop,system}/**/*.test.ts'],
          testTimeout: 300_000,
          hookTimeout: 120_000,
          fileParallelism: false,
        },
      },
    ],
  },
})
