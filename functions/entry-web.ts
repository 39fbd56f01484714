/** `isthmus/functions` wherever there are web standards. The build puts the module's bytes here. */
import bytes from '../wasm/build/stream.strict.wasm'
import { webPlatform } from './platform-web.ts'
import type { Site, SiteOptions } from './sdk/api.ts'
import { siteMaker } from './sdk/site.ts'

export * from './exports.ts'

/** The way to a site of the token's network. Asks nobody before it is used. */
export const site: (name: string, options?: SiteOptions) => Site = siteMaker(
  webPlatform(() => new WebAssembly.Module(bytes as unknown as Uint8Array<ArrayBuffer>)),
)
