/** A Worker for tests: a site of the global scope, as a program would have it, and what is done with it by path. */
import { IsthmusError, type Site, type SiteSocket, site } from 'isthmus/functions'

interface Env {
  readonly ISTHMUS_TOKEN: string
}

let shared: Site | undefined

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    shared ??= site('hq', { token: env.ISTHMUS_TOKEN })
    const { pathname } = new URL(request.url)
    try {
      if (pathname === '/socket') return await overSocket(shared, request)
      if (pathname === '/upload') return await shared.fetch('http://erp.internal/upload', request)
      return await shared.fetch(`http://erp.internal:8000${pathname}`)
    } catch (error) {
      const { name, message } = error as Error
      const code = error instanceof IsthmusError ? error.code : undefined
      return Response.json({ name, message, code }, { status: 502 })
    }
  },
}

/** The request's body goes in, what comes back is the answer. */
async function overSocket(way: Site, request: Request): Promise<Response> {
  const socket: SiteSocket = way.connect('db.internal:5432', { allowHalfOpen: true })
  void request.body!.pipeTo(socket.writable)
  return new Response(socket.readable)
}
