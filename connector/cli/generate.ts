/** Writes the pages and the schema that are made from code: `node connector/cli/generate.ts`. A test checks that they are current. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { configPage, SCHEMA_FILE, schemaText } from '../config/docs.ts'
import { servicesJsonSchema } from '../config/services.ts'
import { SERVICES_SCHEMA_FILE, servicesPage } from '../config/services-docs.ts'
import { cliPage, metricsPage } from './docs.ts'

/** By path from the project's root. */
export function generatedFiles(): ReadonlyMap<string, string> {
  return new Map([
    [SCHEMA_FILE, schemaText()],
    ['docs/config.md', configPage()],
    [SERVICES_SCHEMA_FILE, schemaText(servicesJsonSchema())],
    ['docs/services.md', servicesPage()],
    ['docs/cli.md', cliPage()],
    ['docs/metrics.md', metricsPage()],
  ])
}

export const PROJECT_ROOT = join(import.meta.dirname, '../..')

if (process.argv[1] === import.meta.filename) {
  for (const [path, text] of generatedFiles()) writeFileSync(join(PROJECT_ROOT, path), text)
}
