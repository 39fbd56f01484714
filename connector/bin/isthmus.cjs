#!/usr/bin/env node
/**
 * Starts `connector/main.ts` with a Node.js that runs TypeScript (22.18 or later): the running one when it fits,
 * else the one that npm installed beside us as an optional dependency. Plain CommonJS, so that an old Node.js reads it.
 */
'use strict'

const { spawn } = require('node:child_process')
const { existsSync } = require('node:fs')
const { constants } = require('node:os')
const path = require('node:path')
const { pathToFileURL } = require('node:url')

const MAIN = path.join(__dirname, '..', 'main.ts')
const PERMISSION = 4

if (fits(process.versions.node) && process.env.ISTHMUS_NODE === undefined) runHere()
else runWith(process.env.ISTHMUS_NODE || findNode())

/** Type stripping without a flag came with 22.18 and 23.6. */
function fits(version) {
  const [major, minor] = version.split('.').map(Number)
  return major > 23 || (major === 23 && minor >= 6) || (major === 22 && minor >= 18)
}

function runHere() {
  import(pathToFileURL(MAIN).href)
    .then((module) => module.main())
    .catch((error) => {
      console.error(error)
      process.exitCode = 1
    })
}

/** Up from here through every node_modules, as Node.js resolves packages. */
function findNode() {
  const system = process.platform === 'win32' ? 'win' : process.platform
  const file = process.platform === 'win32' ? 'node.exe' : 'node'
  const packages = [`node-${system}-${process.arch}`, `node-bin-${system}-${process.arch}`]
  for (let folder = __dirname; ; folder = path.dirname(folder)) {
    const modules = path.join(folder, 'node_modules')
    const candidates = packages.map((name) => path.join(modules, name, 'bin', file))
    candidates.push(path.join(modules, '.bin', file))
    const found = candidates.find((candidate) => existsSync(candidate))
    if (found !== undefined || folder === path.dirname(folder)) return found
  }
}

function runWith(node) {
  if (node === undefined) {
    console.error(`isthmus: Node.js ${process.versions.node} cannot run it: 22.18 or later is needed.`)
    console.error('  What to do: run npm ci in its folder without --omit=optional, which brings a Node.js along,')
    console.error('  or install a newer Node.js.')
    process.exitCode = 1
    return
  }
  // A variable that names this Node.js must not start the search again in the child.
  const { ISTHMUS_NODE: _, ...env } = process.env
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2', 'SIGWINCH']
  // Before the child exists: a signal in between must not end us and leave it behind.
  for (const signal of signals) process.on(signal, () => child.kill(signal))
  const child = spawn(node, [MAIN, ...process.argv.slice(2)], { stdio: 'inherit', env })
  child.on('error', (error) => {
    console.error(`isthmus: ${node} does not start: ${error.message}.`)
    console.error('  What to do: run npm ci again on this machine, or install Node.js 22.18 or later.')
    process.exitCode = error.code === 'EACCES' ? PERMISSION : 1
  })
  child.on('exit', (code, signal) => {
    if (signal === null) {
      process.exitCode = code
      return
    }
    // Ends as the child did, so that a shell sees the same.
    for (const name of signals) process.removeAllListeners(name)
    process.exitCode = 128 + (constants.signals[signal] || 0)
    process.kill(process.pid, signal)
  })
}
