/** Which address this machine has towards another one. */
import { createSocket } from 'node:dgram'
import { lookup } from 'node:dns/promises'

/** Asks the routing table; nothing is sent. Undefined where no route leads there, or the name is not known. */
export async function connectorAddress(url: string): Promise<string | undefined> {
  const { hostname } = new URL(url)
  const found = await lookup(hostname.replace(/^\[|\]$/g, '')).catch(() => undefined)
  if (found === undefined) return undefined
  const socket = createSocket(found.family === 6 ? 'udp6' : 'udp4')
  try {
    return await new Promise<string | undefined>((resolve) => {
      socket.once('error', () => resolve(undefined))
      socket.connect(9, found.address, () => resolve(socket.address().address))
    })
  } finally {
    socket.close()
  }
}
