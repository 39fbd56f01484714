/** Preloaded into a process that is measured: whenever the file at $COLLECT is there, collects garbage and removes it. */
import { existsSync, rmSync } from 'node:fs'

const LOOK_MS = 50

const path = process.env.COLLECT
const { gc } = globalThis as { gc?: () => void }
if (path !== undefined && gc !== undefined) {
  const look = (): void => {
    if (!existsSync(path)) return
    for (let i = 0; i < 3; i++) gc()
    rmSync(path)
  }
  setInterval(look, LOOK_MS).unref()
}
