import { aws } from './aws.ts'
import { azure } from './azure.ts'
import { cloudflare } from './cloudflare.ts'
import type { PeerFacts } from './facts.ts'
import { fortinet } from './fortinet.ts'
import { google } from './google.ts'
import type { Preset } from './preset.ts'
import { strongswan } from './strongswan.ts'

/** By the name that a person types. */
export const VENDORS: Readonly<
  Record<string, { readonly title: string; readonly preset: (facts: PeerFacts) => Preset }>
> = {
  strongswan: { title: 'strongSwan', preset: strongswan },
  aws: { title: 'AWS Site-to-Site VPN', preset: aws },
  azure: { title: 'Azure VPN Gateway', preset: azure },
  cloudflare: { title: 'Cloudflare WAN', preset: cloudflare },
  fortinet: { title: 'FortiGate', preset: fortinet },
  google: { title: 'Google Cloud VPN', preset: google },
}
