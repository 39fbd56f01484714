/** What a connection costs in a month, by prices that the user can change. */
import type { CloudDraft, CloudPlan, CloudPrices } from '../../../protocol/control/cloud.ts'

export function costOf({ target }: Pick<CloudDraft, 'target'>, prices: CloudPrices): CloudPlan['cost'] {
  const { hours, gigabytesIn, gigabytesOut } = prices
  const lines = [{ what: `VPN connection, ${hours} hours`, amount: hours * prices.connectionHour }]
  if (target.kind === 'transit-gateway') {
    lines.push({ what: `transit gateway attachment, ${hours} hours`, amount: hours * prices.transitAttachmentHour })
    const amount = gigabytesIn * prices.transitGigabyte
    lines.push({ what: `data into the transit gateway, ${gigabytesIn} GB`, amount })
  }
  lines.push({ what: `data out of AWS, ${gigabytesOut} GB`, amount: gigabytesOut * prices.outGigabyte })
  const rounded = lines.map(({ what, amount }) => ({ what, amount: cents(amount) }))
  return { currency: 'USD', perMonth: cents(lines.reduce((sum, { amount }) => sum + amount, 0)), lines: rounded }
}

function cents(dollars: number): number {
  return Math.round(dollars * 100) / 100
}
