/**
 * Makes the kernel of this process an older one: to be preloaded with `node --import`. ISTHMUS_TEST_LACKS names, divided
 * by commas, what it lacks: `uso` (UDP in runs on TUN devices, before 6.2), `offload` (all of TUNSETOFFLOAD), `gso`
 * (UDP_SEGMENT, before 4.18), `gro` (UDP_GRO, before 5.0). A seccomp filter of this thread and of those that it starts
 * answers such calls as that kernel would.
 */
import { isMainThread } from 'node:worker_threads'
import koffi from 'koffi'
import { Scratch } from '../../connector/io/ffi.ts'

const PR_SET_SECCOMP = 22
const SECCOMP_MODE_FILTER = 2
const PR_SET_NO_NEW_PRIVS = 38
const RETURN_ALLOW = 0x7fff_0000
const RETURN_ERRNO = 0x0005_0000
const LOAD_WORD = 0x20
const JUMP_EQUAL = 0x15
const JUMP_SET = 0x45
const RETURN = 0x06
const EINVAL = 22
const ENOPROTOOPT = 92
const CALLS = process.arch === 'arm64' ? { ioctl: 29, setsockopt: 208 } : { ioctl: 16, setsockopt: 54 }
const TUNSETOFFLOAD = 0x400454d0
const USO = 0x20 | 0x40
const IPPROTO_UDP = 17

interface Condition {
  readonly argument: number
  readonly value: number
  /** Any of the bits of `value`, instead of all of it and nothing else. */
  readonly bits?: boolean
}

interface Rule {
  readonly call: number
  readonly conditions: readonly Condition[]
  readonly errno: number
}

const setsockopt = (option: number): Rule => ({
  call: CALLS.setsockopt,
  conditions: [
    { argument: 1, value: IPPROTO_UDP },
    { argument: 2, value: option },
  ],
  errno: ENOPROTOOPT,
})
const offload: Rule = { call: CALLS.ioctl, conditions: [{ argument: 1, value: TUNSETOFFLOAD }], errno: EINVAL }
const RULES: Readonly<Record<string, Rule>> = {
  uso: { ...offload, conditions: [...offload.conditions, { argument: 2, value: USO, bits: true }] },
  offload,
  gso: setsockopt(103),
  gro: setsockopt(104),
}

if (isMainThread) install((process.env.ISTHMUS_TEST_LACKS ?? '').split(',').map((name) => RULES[name]!))

type Instruction = readonly [code: number, ifTrue: number, ifFalse: number, value: number]

function install(rules: readonly Rule[]): void {
  const program = [...rules.flatMap(instructionsOf), [RETURN, 0, 0, RETURN_ALLOW] as const]
  const code = new Scratch(8 * program.length)
  for (const [i, [operation, ifTrue, ifFalse, value]] of program.entries()) {
    code.view.setUint16(8 * i, operation, true)
    code.view.setUint8(8 * i + 2, ifTrue)
    code.view.setUint8(8 * i + 3, ifFalse)
    code.view.setUint32(8 * i + 4, value, true)
  }
  const header = new Scratch(16)
  header.view.setUint16(0, program.length, true)
  header.view.setBigUint64(8, BigInt(code.address), true)
  const prctl = koffi.load('libc.so.6').func('prctl', 'int', ['int', 'ulong', 'int64', 'ulong', 'ulong'])
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, header.address, 0, 0) !== 0) throw new Error('no seccomp filter')
}

/** Loads the number of the call (at 0) and the low words of arguments (from 16 on), and leaves where one is different. */
function instructionsOf({ call, conditions, errno }: Rule): Instruction[] {
  const checks = [
    { at: 0, value: call, bits: false },
    ...conditions.map(({ argument, value, bits }) => ({ at: 16 + 8 * argument, value, bits: bits === true })),
  ]
  return [
    ...checks.flatMap(({ at, value, bits }, i): Instruction[] => [
      [LOAD_WORD, 0, 0, at],
      [bits ? JUMP_SET : JUMP_EQUAL, 0, 2 * (checks.length - 1 - i) + 1, value],
    ]),
    [RETURN, 0, 0, RETURN_ERRNO | errno],
  ]
}
