/** `isthmus/functions` on Cloudflare Workers. */
import module from '../wasm/build/stream.strict.wasm'
import { workersPlatform } from './platform-workers.ts'
import type { Site, SiteOptions } from './sdk/api.ts'
import { siteMaker } from './sdk/site.ts'

export * from './exports.ts'

/** The way to a site of the token's network. Asks nobody before it is used. */
export const site: (name: string, options?: SiteOptions) => Site = siteMaker(workersPlatform(module))
