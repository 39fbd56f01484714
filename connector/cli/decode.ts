import { readFileSync } from 'node:fs'
import { type Command, textOption } from './command.ts'

export const decode: Command = {
  name: 'decode',
  summary: 'read captured IKE, ESP, BGP and BFD, one JSON line per message',
  description:
    'Reads a pcap or pcapng capture, or lines of hex, and prints one JSON line per IKE message, ESP packet, BGP message and BFD packet; decrypted where keys are given, with the reason where one is malformed, and for BGP with what follows from it. The form of the key file is in docs/decode.md; key_log in the configuration writes one.',
  arguments: [{ name: '<file>', description: 'pcap, pcapng or hex lines' }],
  options: [{ flags: '-k, --keys <file>', description: 'keys to decrypt with' }],
  examples: [
    { command: 'isthmus decode capture.pcap', what: 'headers and cleartext payloads' },
    { command: 'isthmus decode capture.pcap --keys keys.json', what: 'also what is encrypted' },
  ],
  exits: ['unreadableFile'],
  async action(input, io) {
    const { runDecode } = await import('./decode/decode.ts')
    const keys = textOption(input, 'keys')
    return runDecode(
      { file: input.args[0] ?? '', ...(keys === undefined ? {} : { keys }) },
      {
        readFile: (path: string) => readFileSync(path),
        stdout: (line: string) => io.stdout(`${line}\n`),
        stderr: (line: string) => io.stderr(`${line}\n`),
      },
    )
  },
}
