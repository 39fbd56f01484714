/**
 * An instance of a Lambda function: `functions-lambda.ts BUNDLE EVENT...`, events in JSON, one invocation after the other.
 * Prints a line of JSON for each answer, or for what an invocation failed with.
 */
const [bundle, ...events] = process.argv.slice(2)
const { handler } = (await import(bundle!)) as { handler: (event: unknown, context: unknown) => Promise<unknown> }
const context = { awsRequestId: '00000000-0000-4000-8000-000000000000', getRemainingTimeInMillis: () => 60_000 }
for (const event of events) {
  const outcome = await handler(JSON.parse(event), context).catch((error: Error) => ({ failed: error.message }))
  process.stdout.write(`${JSON.stringify(outcome)}\n`)
}
process.exit(0)
