import { cloudflareTest } from '@cloudflare/vitest-plugin'
import { configDefaults, defineConfig } from 'vitest/config'

/**
 * `unit` needs nothing but this folder; `workers` runs within workerd, the runtime of Cloudflare Workers; `system`
 * needs Linux, root or user namespaces, and real peers.
 */
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
            'functions/**/*.test.ts',
            'infra/**/*.test.ts',
            'test/{arch,aws,sim,fuzz,walk,vectors}/**/*.test.ts',
          ],
          exclude: [...configDefaults.exclude, '**/*.workers.test.ts'],
          testTimeout: 60_000,
          // A hook that compiles the engine shares its core with other files.
          hookTimeout: 120_000,
        },
      },
      {
        plugins: [
          cloudflareTest({
            wrangler: { configPath: 'infra/workers/wrangler.jsonc' },
            miniflare: {
              bindings: {
                ADMIN_TOKEN: `ist_admin_${'A'.repeat(43)}`,
                KEYRING: `kek-test:${'A'.repeat(43)}`,
                AWS_NETWORKS: 'clouds',
                AWS_ACCESS_KEY_ID: 'test',
                AWS_SECRET_ACCESS_KEY: 'test',
              },
            },
          }),
        ],
        // As in wrangler.jsonc, whose aliases this runtime does not take over.
        resolve: {
          alias: [{ find: /^@aws-sdk\/xml-builder$/, replacement: '@aws-sdk/xml-builder/dist-cjs/index.js' }],
        },
        test: { name: 'workers', include: ['{control,functions}/**/*.workers.test.ts'], testTimeout: 60_000 },
      },
      {
        test: {
          name: 'system',
          include: ['test/{interop,system}/**/*.test.ts'],
          testTimeout: 300_000,
          hookTimeout: 120_000,
          fileParallelism: false,
          // Each has a world of several processes.
          maxConcurrency: 3,
        },
      },
    ],
  },
})
