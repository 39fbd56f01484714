/** The parts of a peer's configuration that shape its SAs. */
import * as leaf from './leaf.ts'
import { DEFAULT_ESP_PROPOSALS, DEFAULT_IKE_PROPOSALS } from './suites.ts'

const DAY = 86_400_000

export const ike = leaf.section(
  {
    proposals: leaf
      .list(
        leaf.ikeProposalText({ description: 'An IKE suite.', why: 'See `proposals`.' }),
        'IKE suite',
        {
          description:
            'Suites for the IKE SA, best first: `encryption-prf-group`, or `encryption-integrity-prf-group` with CBC. Encryption: aes128gcm16, aes256gcm16, chacha20poly1305, aes128, aes256. Integrity: sha256, sha384, sha512. PRF: prfsha256, prfsha384, prfsha512. Group: x25519, ecp256, ecp384, ecp521, modp2048, modp3072, modp4096.',
          why: 'Strong suites first, then those of older gateways, so that most peers agree without configuration.',
          examples: ['[aes256gcm16-prfsha256-x25519]'],
        },
        32,
      )
      .prefault([...DEFAULT_IKE_PROPOSALS]),
    rekey: leaf
      .durationText(
        {
          description: 'Age at which new keys are agreed for the IKE SA.',
          why: 'Cheap, and no packet is lost; shorter than the 8 h after which many gateways drop it.',
        },
        { min: 1000, max: 30 * DAY },
      )
      .prefault('4h'),
    expire: leaf
      .durationText(
        {
          description: 'Age at which the IKE SA is deleted if no rekey succeeded.',
          why: 'Leaves time for repeated attempts.',
          computed: '1.2 x `rekey`',
        },
        { min: 1000, max: 60 * DAY },
      )
      .optional(),
    jitter: leaf
      .durationText(
        {
          description: 'A random part of this is taken off `rekey`.',
          why: 'Many tunnels, and both ends, then do not rekey in the same instant.',
          computed: '`rekey` / 10',
        },
        { min: 0, max: DAY },
      )
      .optional(),
  },
  { description: 'The IKE SA.', why: 'The defaults agree with most gateways.' },
)

export const esp = leaf.section(
  {
    proposals: leaf
      .list(
        leaf.espProposalText({ description: 'An ESP suite.', why: 'See `proposals`.' }),
        'ESP suite',
        {
          description:
            'Suites for the traffic, best first: `encryption`, `encryption-group` for a key exchange of its own at each rekey (PFS), and `-esn` or `-noesn` to decide ESN here. Encryption: aes128gcm16, aes256gcm16, chacha20poly1305.',
          why: 'With PFS first, without it last, so that a peer that does not do PFS can still rekey.',
          examples: ['[chacha20poly1305-x25519]'],
        },
        32,
      )
      .prefault([...DEFAULT_ESP_PROPOSALS]),
    esn: leaf
      .choice(
        {
          description:
            'Extended (64-bit) sequence numbers, RFC 4303 section 2.2.1: offered first, demanded, or not offered.',
          why: 'A fast link uses up 32 bits within minutes; some clouds know no ESN, so it is a wish and no demand.',
        },
        ['prefer', 'require', 'off'],
      )
      .default('prefer'),
    rekey: leaf
      .durationText(
        {
          description: 'Age at which new keys are agreed for the traffic.',
          why: 'Within the hour after which many gateways drop it.',
        },
        { min: 1000, max: 30 * DAY },
      )
      .prefault('50m'),
    expire: leaf
      .durationText(
        {
          description: 'Age at which a Child SA is deleted if no rekey succeeded.',
          why: 'Leaves time for repeated attempts.',
          computed: '1.2 x `rekey`',
        },
        { min: 1000, max: 60 * DAY },
      )
      .optional(),
    jitter: leaf
      .durationText(
        {
          description: 'A random part of this is taken off `rekey`.',
          why: 'Both ends then do not rekey in the same instant.',
          computed: '`rekey` / 10',
        },
        { min: 0, max: DAY },
      )
      .optional(),
    rekey_bytes: leaf
      .sizeText({
        description: 'Traffic after which new keys are agreed.',
        why: 'Time and packets bound it already.',
        computed: 'none',
      })
      .optional(),
    expire_bytes: leaf
      .sizeText({
        description: 'Traffic at which a Child SA stops.',
        why: 'Only together with `rekey_bytes`.',
        computed: '1.2 x `rekey_bytes`',
      })
      .optional(),
    rekey_packets: leaf
      .integer(
        {
          description: 'Packets after which new keys are agreed.',
          unit: 'packets',
          why: 'Far enough before 32-bit sequence numbers end.',
        },
        { min: 64, max: 2 ** 48 },
      )
      .default(2_000_000_000),
    expire_packets: leaf
      .integer(
        {
          description: 'Packets at which a Child SA stops.',
          unit: 'packets',
          why: 'The sequence number must not wrap.',
          computed: '1.2 x `rekey_packets`',
        },
        { min: 65, max: 2 ** 49 },
      )
      .optional(),
    replay_window: leaf
      .integer(
        {
          description:
            'Packets that may arrive out of order before one counts as replayed: a multiple of 64, or 0 for no replay protection, and no count of packets that never came.',
          unit: 'packets',
          why: 'Bursts and several paths reorder more than the customary 64.',
        },
        { min: 0, max: 4096 },
      )
      .refine((value) => value === 0 || (value >= 64 && value % 64 === 0), {
        error: 'the window is a multiple of 64 from 64 to 4096, or 0; choose for example 1024',
      })
      .default(1024),
  },
  { description: "The traffic's own SAs (Child SAs).", why: 'The defaults agree with most gateways.' },
)
