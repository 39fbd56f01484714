/** The installation's way to AWS, for the networks that its operator has named, and for no other. */
import type { CloudProvider } from '../domain/cloud/provider.ts'
import type { CloudAccess } from '../service/types.ts'

/** Networks by name or identifier; `all`: those that come later too. */
export type AwsNetworks = 'all' | readonly string[]

/** `all`, or names and identifiers divided by commas; undefined where none is named. */
export function readAwsNetworks(text: string | undefined): AwsNetworks | undefined {
  const names = (text ?? '').split(',').map((name) => name.trim())
  const named = names.filter((name) => name !== '')
  if (named.length === 0) return undefined
  return named.includes('all') ? 'all' : named
}

/** `make` is called at the first call to AWS: the SDK takes its time to load. */
export function awsAccess(
  networks: AwsNetworks | undefined,
  make: () => Promise<CloudProvider>,
  times: { readonly watchMs?: number; readonly settleMs?: number } = {},
): { readonly clouds?: CloudAccess } {
  if (networks === undefined) return {}
  return {
    clouds: {
      provider: lazily(make),
      allows: ({ id, name }) => networks === 'all' || networks.includes(id) || networks.includes(name),
      ...times,
    },
  }
}

function lazily(make: () => Promise<CloudProvider>): CloudProvider {
  let made: Promise<CloudProvider> | undefined
  const provider = () => {
    made ??= make().catch((error: unknown) => {
      made = undefined
      throw error
    })
    return made
  }
  return {
    look: async (subjects) => (await provider()).look(subjects),
    perform: async (region, action, secrets) => (await provider()).perform(region, action, secrets),
  }
}
