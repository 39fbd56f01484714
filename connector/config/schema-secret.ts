/** Secrets in the configuration: only ever where they are found. */
import * as leaf from './leaf.ts'

/** Where a secret is found. */
export function secret(description: string, computed?: string) {
  return leaf.section(
    {
      file: leaf
        .pathText({
          description:
            "File with the secret; relative paths start at the configuration's directory. A last line break is not part of it; `hex:`, `0x` and `base64:` introduce encoded bytes.",
          why: 'A file can be mode 0600 and stay out of version control; `isthmus keygen` makes one.',
          computed: 'none: `file` or `env` is needed',
          examples: ['/etc/isthmus/branch.key'],
        })
        .optional(),
      env: leaf
        .patternText(
          'name',
          {
            description: 'Environment variable with the secret, in the same forms.',
            why: 'For containers whose platform hands secrets over that way.',
            computed: 'none',
            examples: ['BRANCH_PSK'],
          },
          /^[A-Za-z_][A-Za-z0-9_]{0,127}$/,
          'a name of an environment variable; write one like BRANCH_PSK, not the secret itself',
        )
        .optional(),
    },
    {
      description,
      ...(computed === undefined ? {} : { computed }),
      why: 'It never stands in this file, so that the file can be shared and kept in version control.',
    },
  )
}
