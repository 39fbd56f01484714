/** What a test asks of the SDK in workerd: `/<scenario>/<argument>`. The site is made in the global scope. */
import { IsthmusError, type Site, site } from 'isthmus/functions'

interface Env {
  readonly ISTHMUS_TOKEN: string
}

let hq: Site | undefined

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    hq ??= site('hq', { token: env.ISTHMUS_TOKEN })
    const [, scenario = '', argument = ''] = new URL(request.url).pathname.split('/')
    return Response.json(await SCENARIOS[scenario]!(hq, argument, env))
  },
}

const SCENARIOS: Readonly<Record<string, (hq: Site, argument: string, env: Env) => Promise<unknown>>> = {
  download: async (hq, bytes) => {
    const response = await hq.fetch(`http://erp/bytes/${bytes}`)
    let length = 0
    for await (const chunk of response.body!) length += chunk.length
    return { length }
  },
  upload: async (hq, bytes) => {
    const { body, digest } = hashed(Number(bytes))
    const response = await hq.fetch('http://erp/hash', { method: 'POST', body, duplex: 'half' } as RequestInit)
    return { same: ((await response.json()) as { sha256: string }).sha256 === (await digest) }
  },
  /** Half-close: the digest comes when our end has finished. */
  digest: async (hq, bytes) => {
    const socket = hq.connect({ hostname: 'digest.internal', port: 7001 }, { allowHalfOpen: true })
    const { body, digest } = hashed(Number(bytes))
    await body.pipeTo(socket.writable)
    return { same: (await new Response(socket.readable).text()) === (await digest) }
  },
  secure: async (hq) => (await hq.fetch('https://secure.internal/headers')).json(),
  refusals: async (hq, _, { ISTHMUS_TOKEN: token }) => ({
    service: await codeOf(hq.fetch('http://payroll.internal/')),
    closed: await codeOf(hq.connect('closed.internal:9').opened),
    forbidden: await codeOf(hq.connect('169.254.169.254:81').opened),
    site: await codeOf(site('nowhere', { token }).fetch('http://erp/')),
  }),
}

/** So many bytes, 64 KB at a time, and their SHA-256 when they have gone. */
function hashed(bytes: number): { body: ReadableStream<Uint8Array>; digest: Promise<string> } {
  const all = new Uint8Array(bytes).fill(0x69)
  let at = 0
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      const chunk = all.slice(at, at + 65_536)
      at += chunk.length
      if (chunk.length > 0) controller.enqueue(chunk)
      if (at === bytes) controller.close()
    },
  })
  const hex = (digest: ArrayBuffer) => Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0'))
  return { body, digest: crypto.subtle.digest('SHA-256', all).then((digest) => hex(digest).join('')) }
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work
    return 'none'
  } catch (error) {
    return error instanceof IsthmusError ? error.code : String(error)
  }
}
