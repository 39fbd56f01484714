/** What a Dockerfile does, for tests that carry it out in a folder instead of an image. */
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { basename, join, matchesGlob } from 'node:path'
import { DockerfileParser } from 'dockerfile-ast'

export interface Instruction {
  /** In capitals, such as `COPY`. */
  readonly keyword: string
  /** What follows, continued lines joined by one space, comments left out. */
  readonly text: string
}

/** A stage: its `FROM` and what follows up to the next. */
export interface Stage {
  readonly from: string
  readonly instructions: readonly Instruction[]
}

export function readStages(dockerfile: string): Stage[] {
  const stages: { from: string; instructions: Instruction[] }[] = []
  for (const each of DockerfileParser.parse(dockerfile).getInstructions()) {
    const keyword = each.getKeyword()
    const text = (each.getRawArgumentsContent() ?? '').replace(/\s*\\\n\s*/g, ' ').trim()
    if (keyword === 'FROM') stages.push({ from: text, instructions: [] })
    else stages.at(-1)?.instructions.push({ keyword, text })
  }
  return stages
}

/** `COPY` of a context into `folder`, which stands for the working directory. Throws where a source is not there. */
export function copyInto(folder: string, context: string, { text }: Instruction, ignores: Ignore): void {
  const words = text.split(/\s+/)
  const target = join(folder, words.pop()!)
  for (const source of words) {
    const from = join(context, source)
    if (!existsSync(from) || ignores(source)) throw new Error(`COPY ${source}: it is not in the context`)
    const isFile = statSync(from).isFile()
    mkdirSync(isFile ? target : folder, { recursive: true })
    const filter = (path: string) => !ignores(path.slice(context.length + 1))
    cpSync(from, isFile ? join(target, basename(source)) : target, { recursive: true, filter })
  }
}

/** Whether a path of the context, relative to it, is left out. */
export type Ignore = (path: string) => boolean

/** Of a .dockerignore: the last pattern counts that fits the path or a folder above it. */
export function readIgnore(file: string): Ignore {
  const patterns = readFileSync(file, 'utf8')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => ({ ignored: !line.startsWith('!'), pattern: line.replace(/^!/, '') }))
  return (path) => {
    const parts = path.split('/')
    const above = parts.map((_, index) => parts.slice(0, index + 1).join('/'))
    const last = patterns.findLast(({ pattern }) => above.some((each) => matchesGlob(each, pattern)))
    return last?.ignored ?? false
  }
}

/** Files below a folder, relative to it. */
export function filesOf(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((path) =>
    statSync(join(folder, path)).isFile(),
  )
}
