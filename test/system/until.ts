/** Waits for a condition instead of a time: polls it every `pauseMs`, for at most `limitMs`, then throws. */
export async function until(
  what: string,
  holds: () => Promise<boolean> | boolean,
  limitMs = 20_000,
  pauseMs = 50,
): Promise<void> {
  const deadline = performance.now() + limitMs
  for (;;) {
    if (await holds()) return
    if (performance.now() > deadline) throw new Error(`waited ${limitMs / 1000} s in vain for ${what}`)
    await new Promise((resolve) => setTimeout(resolve, pauseMs))
  }
}
