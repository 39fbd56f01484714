/**
 * Resources in the sense of RFC 9611: the packet workers of this connector. Where there are several, each inbound SPI
 * of ours tells the worker that holds its Child SA, so that the kernel can bring a packet straight there.
 */

/** Workers of a connector, and Child SAs of one child at a time. */
export const MAX_RESOURCES = 16

/** The worker that an inbound SPI of ours belongs to, 0 to 15: its low four bits. Only where there are several. */
export function resourceOf(spi: number): number {
  return spi & (MAX_RESOURCES - 1)
}
