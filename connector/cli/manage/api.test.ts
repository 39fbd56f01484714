import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { ROUTES } from '../../../protocol/control/generated/api-client.ts'
import { Api } from './api.ts'

function recording(answer: (path: string) => Response) {
  const asked: { path: string; headers: Headers; method: string }[] = []
  const api = new Api({
    url: 'https://control.example.net',
    token: 't',
    fetch: async (url, init) => {
      const path = url.slice('https://control.example.net'.length)
      asked.push({ path, headers: new Headers(init.headers), method: init.method! })
      return answer(path)
    },
    pause: async () => {},
    freshKey: () => 'k',
  })
  return { api, asked }
}

test('a list is read to its end, page by page, with its filter on each', async () => {
  const pages: Record<string, object> = {
    '/v1/networks/n%2Fx/connectors?site=s&limit=500': { items: [1, 2], next: 'a b' },
    '/v1/networks/n%2Fx/connectors?site=s&limit=500&cursor=a+b': { items: [], next: 'c' },
    '/v1/networks/n%2Fx/connectors?site=s&limit=500&cursor=c': { items: [3] },
  }
  const { api, asked } = recording((path) => Response.json(pages[path]))
  expect(await api.all('connectors.list', { params: { network: 'n/x' }, query: { site: 's' } })).toEqual([1, 2, 3])
  expect(asked.map(({ path }) => path)).toEqual(Object.keys(pages))
})

test('a change names the revision that it is based on, and gets the new one', async () => {
  const { api, asked } = recording(() => Response.json({ topology: 'none' }, { headers: { etag: '"8"' } }))
  const params = { network: 'n' }
  const answered = await api.call('preferences.replace', { params, body: { topology: 'none' }, match: '"7"' })
  expect(answered).toEqual({ value: { topology: 'none' }, revision: '"8"' })
  expect(asked[0]).toMatchObject({ method: 'PUT', path: '/v1/networks/n/preferences' })
  expect(asked[0]!.headers.get('if-match')).toBe('"7"')
})

test('an answer without content has no value', async () => {
  const { api } = recording(() => new Response(null, { status: 204 }))
  expect(await api.call('networks.remove', { params: { network: 'n' }, match: '*' })).toEqual({ value: undefined })
})

test('every operation for people is used by a verb', () => {
  const sources = readdirSync(import.meta.dirname)
    .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'))
    .map((name) => readFileSync(join(import.meta.dirname, name), 'utf8'))
  const unused = Object.keys(ROUTES).filter((name) => !sources.some((source) => source.includes(`'${name}'`)))
  // What is destroyed is forgotten by that; the log is verified here, not by the one who wrote it.
  expect(unused).toEqual(['clouds.remove', 'audit.verify'])
})
