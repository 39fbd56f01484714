/** What the environment of the process says, where there is one. */

export function environmentToken(): string | undefined {
  const { process } = globalThis as { process?: { env?: Record<string, string | undefined> } }
  return process?.env?.ISTHMUS_TOKEN
}
