/** `test` with a lab of its own for each one that asks for it, so that several run at the same time. */
import { test as plain } from 'vitest'
import { createLab, type Lab } from './pair.ts'

export const test = plain.extend<{ readonly lab: Lab }>({
  lab: async ({ task: _ }, use) => {
    const lab = await createLab()
    try {
      await use(lab)
    } finally {
      await lab.close()
    }
  },
})
