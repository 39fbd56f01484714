/**
 * Who may import whom. The first row whose `folder` is a prefix of a file's path governs that file;
 * `may` lists path prefixes within the project, `packages` the npm packages and `node:` modules.
 */
export interface Row {
  readonly folder: string
  readonly may: readonly string[]
  /** A trailing colon or slash makes it a prefix. */
  readonly packages: readonly string[]
  readonly why: string
}

export const IMPORT_TABLE: readonly Row[] = [
  {
    folder: 'protocol/control/',
    may: ['protocol/'],
    packages: ['zod'],
    why: 'one schema for both ends of every document; zod does no I/O and runs everywhere',
  },
  {
    folder: 'protocol/',
    may: ['protocol/'],
    packages: [],
    why: 'protocol/ is what our programs say to each other: it depends on nothing and does no I/O',
  },
  { folder: 'wasm/abi.ts', may: [], packages: [], why: 'both languages compile abi.ts: it can import nothing' },
  {
    folder: 'wasm/assembly/',
    may: ['wasm/assembly/', 'wasm/abi.ts'],
    packages: [],
    why: 'the module has no imports; only the shared numbers of abi.ts come from outside',
  },
  {
    folder: 'wasm/generate/',
    may: ['wasm/generate/'],
    packages: ['node:'],
    why: 'a generator writes source and knows nothing of the product',
  },
  { folder: 'wasm/build.ts', may: ['wasm/'], packages: ['node:', 'assemblyscript'], why: 'the builder is a tool' },
  {
    folder: 'wasm/',
    may: ['wasm/', 'protocol/'],
    packages: ['node:crypto', 'node:fs', 'node:url'],
    why: 'the engine stands on its own: files are read in load.ts, node:crypto is the reference',
  },
  {
    folder: 'connector/core/managed/',
    may: ['connector/core/', 'protocol/'],
    packages: ['zod'],
    why: 'core is pure; the documents of the control plane have one schema for both ends',
  },
  {
    folder: 'connector/core/',
    may: ['connector/core/', 'protocol/'],
    packages: [],
    why: 'core is pure: time, randomness and crypto are arguments, so that the simulated world can run it',
  },
  {
    folder: 'connector/data/',
    may: [
      'connector/data/',
      'connector/core/encap.ts',
      'connector/core/probe/',
      'wasm/',
      'protocol/',
      'connector/io/ffi.ts',
    ],
    packages: ['node:'],
    why: 'the packet path knows the engine, of IKE only how to tell it from ESP, and of paths how they are probed, which no busy main thread may hold up',
  },
  {
    folder: 'connector/io/',
    may: ['connector/', 'wasm/', 'protocol/'],
    packages: ['node:', 'koffi', '@noble/', 'ws', 'jose', 'undici', 'zod'],
    why: 'io is the only place with side effects; it does not print and does not parse arguments',
  },
  {
    folder: 'connector/cli/control/',
    may: ['connector/', 'protocol/', 'control/entry/node'],
    packages: ['node:'],
    why: 'isthmus control starts the control plane on Node: the one place where the program meets it, and by its entry only',
  },
  { folder: 'connector/', may: ['connector/', 'wasm/', 'protocol/'], packages: [''], why: 'the composition root' },
  {
    folder: 'control/domain/intents/',
    may: [
      'control/domain/',
      'protocol/',
      'connector/core/bgp/rib/',
      'connector/core/bgp/wire/',
      'connector/core/managed/routing.ts',
    ],
    packages: [],
    why: 'a plan must use the very code that will decide about routes, which is pure',
  },
  {
    folder: 'control/domain/',
    may: ['control/domain/', 'protocol/'],
    packages: ['croner', '@noble/'],
    why: 'the domain is pure: time, randomness and what is stored are arguments',
  },
  {
    folder: 'control/aws/',
    may: ['control/aws/', 'control/domain/', 'protocol/'],
    packages: ['@aws-sdk/client-ec2', 'fast-xml-parser'],
    why: 'the one place that speaks to AWS; what to say to it, the domain decides',
  },
  {
    folder: 'control/entry/',
    may: ['control/', 'protocol/'],
    packages: [''],
    why: 'an entry knows its platform; nothing else of control/ does',
  },
  {
    folder: 'control/store/testing/',
    may: ['control/', 'protocol/'],
    packages: ['vitest', 'fast-check', '@electric-sql/pglite', 'pg', 'node:'],
    why: 'what only tests of the store use',
  },
  {
    folder: 'control/store/',
    may: ['control/store/', 'control/domain/', 'protocol/'],
    packages: ['node:sqlite', 'node:fs', 'node:path', 'pg', 'jose'],
    why: 'the store knows databases and no HTTP',
  },
  {
    folder: 'control/testing/',
    may: ['control/', 'protocol/'],
    packages: ['jose', '@noble/', 'fast-check'],
    why: 'the whole control plane over a store in memory, and requests by chance: for tests',
  },
  {
    folder: 'control/',
    may: ['control/', 'protocol/'],
    packages: ['hono', '@hono/zod-openapi', 'zod', 'jose', '@noble/'],
    why: 'the API runs on Workers, Lambda and Node alike: no node: module, no platform',
  },
  {
    folder: 'functions/sdk/',
    may: ['functions/sdk/', 'protocol/', 'wasm/stream-aead.ts', 'wasm/build/stream'],
    packages: ['@noble/'],
    why: 'the SDK runs on Workers and wherever else there are web standards: no node: module, no platform',
  },
  {
    folder: 'functions/node/',
    may: ['functions/', 'protocol/', 'wasm/'],
    packages: ['node:', 'ws'],
    why: 'what the SDK takes from Node where it has Node',
  },
  {
    folder: 'functions/',
    may: ['functions/', 'protocol/', 'wasm/'],
    packages: [''],
    why: 'connector, control and functions never import one another',
  },
  {
    folder: 'infra/aws/',
    may: ['infra/aws/', 'control/aws/', 'control/domain/cloud/', 'protocol/'],
    packages: ['node:'],
    why: 'what the control plane may do at AWS follows from what it calls',
  },
  {
    folder: 'infra/',
    may: ['infra/'],
    packages: ['node:', 'esbuild', 'aws-cdk-lib', 'constructs', 'dockerfile-ast', 'yaml'],
    why: 'how it is deployed: programs are named by path and are not imported',
  },
  { folder: 'test/', may: [''], packages: [''], why: 'tests may look everywhere' },
]

/** Globals that break purity in connector/core, control/domain and protocol: each would escape the virtual clock or the seed. */
export const IMPURE_GLOBALS = [
  'Date.now',
  'new Date()',
  'performance.now',
  'Math.random',
  'setTimeout',
  'setInterval',
  'setImmediate',
  'queueMicrotask',
  'process.',
  'crypto.getRandomValues',
  'console.',
  'await ',
  'async ',
]
