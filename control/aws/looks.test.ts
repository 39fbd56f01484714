import { expect, test } from 'vitest'
import type { Seen, Subject } from '../domain/cloud/provider.ts'
import { Looks } from './looks.ts'
import { SUBJECTS } from './testing/actions.ts'

const subject = (cloud: string): Subject => ({ ...SUBJECTS[0]!, cloud })
const seenOf = ({ cloud }: Subject) => ({ takenInside: [cloud] }) as unknown as Seen
const namesIn = (seen: readonly Seen[]) => seen.flatMap(({ takenInside }) => takenInside)

/** Looks that end when they are told to. */
function held() {
  const rounds: { readonly clouds: string[]; end(error?: unknown): void }[] = []
  const looks = new Looks(
    (subjects) =>
      new Promise((resolve, reject) => {
        const end = (error?: unknown) => (error === undefined ? resolve(subjects.map(seenOf)) : reject(error))
        rounds.push({ clouds: subjects.map(({ cloud }) => cloud), end })
      }),
  )
  return { rounds, looks }
}
const turn = () => new Promise((resolve) => setImmediate(resolve))

test('who asks at the same time is served by one look, each with its own', async () => {
  const { rounds, looks } = held()
  const asked = [looks.at([subject('a'), subject('b')]), looks.at([]), looks.at([subject('c')])]
  await turn()
  expect(rounds.map(({ clouds }) => clouds)).toEqual([['a', 'b', 'c']])
  rounds[0]!.end()
  expect((await Promise.all(asked)).map(namesIn)).toEqual([['a', 'b'], [], ['c']])
})

test('who comes while one is under way gets the next, never what was there before', async () => {
  const { rounds, looks } = held()
  const first = looks.at([subject('a')])
  await turn()
  const later = [looks.at([subject('b')]), looks.at([subject('a')])]
  await turn()
  expect(rounds).toHaveLength(1)
  rounds[0]!.end()
  await first
  await turn()
  expect(rounds.map(({ clouds }) => clouds)).toEqual([['a'], ['b', 'a']])
  rounds[1]!.end()
  expect((await Promise.all(later)).map(namesIn)).toEqual([['b'], ['a']])
})

test('a look that fails fails for those that asked for it, and for nobody else', async () => {
  const { rounds, looks } = held()
  const [one, two] = [looks.at([subject('a')]), looks.at([subject('b')])]
  await turn()
  const next = looks.at([subject('c')])
  rounds[0]!.end(new Error('not now'))
  await expect(one).rejects.toThrow('not now')
  await expect(two).rejects.toThrow('not now')
  await turn()
  rounds[1]!.end()
  expect(namesIn(await next)).toEqual(['c'])
  const again = looks.at([subject('d')])
  await turn()
  rounds[2]!.end()
  expect(namesIn(await again)).toEqual(['d'])
})
