/** Rewrites the generated sources in wasm/assembly/: `node wasm/generate/run.ts`. */
import { writeFileSync } from 'node:fs'
import { generatedSources } from './sources.ts'

for (const [name, text] of generatedSources()) writeFileSync(new URL(`../assembly/${name}`, import.meta.url), text)
