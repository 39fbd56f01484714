import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, expect, test } from 'vitest'

const root = resolve(import.meta.dirname, '../..')
const folder = mkdtempSync(join(tmpdir(), 'isthmus-workers-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

test('the Worker is built offline, without anything of Node, and fits the limit of the free plan', () => {
  const config = join(root, 'infra/workers/wrangler.jsonc')
  const wrangler = join(root, 'node_modules/wrangler/bin/wrangler.js')
  execFileSync(process.execPath, [wrangler, 'deploy', '--dry-run', '--config', config, '--outdir', folder], {
    cwd: root,
    env: {
      PATH: process.env.PATH,
      HOME: folder,
      CI: '1',
      WRANGLER_SEND_METRICS: 'false',
      WRANGLER_HIDE_BANNER: 'true',
      CLOUDFLARE_CF_FETCH_ENABLED: 'false',
    },
    stdio: 'pipe',
  })
  const script = readFileSync(join(folder, 'workers.js'))
  expect(script.toString()).not.toMatch(/from "(node:|pg|ws|@hono\/node-server)/)
  expect(gzipSync(script).length).toBeLessThan(3_000_000)
})
