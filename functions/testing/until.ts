/** Waits for a condition, not for a time; gives up after 10 s. */
export async function until(condition: () => boolean): Promise<void> {
  const end = Date.now() + 10_000
  while (!condition()) {
    if (Date.now() > end) throw new Error(`it never came true: ${condition}`)
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
}
