/** Fires the cron trigger of a Worker that runs in `wrangler dev`, again and again: PORT PERIOD_MS. Says what came of it. */
const [port, period] = process.argv.slice(2)

async function fire(): Promise<void> {
  const answer = await fetch(`http://127.0.0.1:${port}/cdn-cgi/handler/scheduled?cron=*/5+*+*+*+*`)
  console.log(`cron trigger: ${answer.status} ${await answer.text()}`)
}

setInterval(() => {
  fire().catch((error) => console.log(`cron trigger: ${error}`))
}, Number(period))
