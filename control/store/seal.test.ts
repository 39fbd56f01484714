import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { toBase64url } from '../../protocol/control/base64url.ts'
import { openRepo } from './repo-sql.ts'
import { createSealer, readKeyring, rewrapChanges } from './seal.ts'
import { openSqlite } from './sqlite-node.ts'
import * as samples from './testing/samples.ts'

const K1 = `k1:${toBase64url(new Uint8Array(32).fill(1))}`
const K2 = `k2:${toBase64url(new Uint8Array(32).fill(2))}`
const HERE = { network: 'net_a', kind: 'secret', id: 's1' }
const SECRET = new TextEncoder().encode('a pre-shared key')
const sealed = { name: 'StoreFailure', code: 'sealed' }

function sealerOf(keys: string) {
  return createSealer(readKeyring(keys), (length) => crypto.getRandomValues(new Uint8Array(length)))
}

describe('seal', () => {
  test('what is sealed opens where it belongs, and is not to be read', async () => {
    const sealer = await sealerOf(K1)
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (secret) => {
        const text = await sealer.seal(HERE, secret)
        expect(await sealer.open(HERE, text)).toEqual(new Uint8Array(secret))
        if (secret.length > 4) expect(text).not.toContain(toBase64url(secret))
      }),
      { numRuns: 20 },
    )
  })

  test('each sealing has a data key of its own', async () => {
    const sealer = await sealerOf(K1)
    const [one, two] = [await sealer.seal(HERE, SECRET), await sealer.seal(HERE, SECRET)]
    expect(one.split('.')[2]).not.toBe(two.split('.')[2])
    expect(one.split('.')[3]).not.toBe(two.split('.')[3])
  })

  test('it opens under no other network, kind or id', async () => {
    const sealer = await sealerOf(K1)
    const text = await sealer.seal(HERE, SECRET)
    for (const elsewhere of [{ network: 'net_b' }, { kind: 'network' }, { id: 's2' }, { network: 'net_', id: 'as1' }]) {
      await expect(sealer.open({ ...HERE, ...elsewhere }, text)).rejects.toMatchObject(sealed)
    }
  })

  test('no character can be changed, and no part put in another place', async () => {
    const sealer = await sealerOf(`${K1} ${K2}`)
    const text = await sealer.seal(HERE, SECRET)
    for (let at = 0; at < text.length; at++) {
      const other = text[at] === 'A' ? 'B' : 'A'
      await expect(sealer.open(HERE, text.slice(0, at) + other + text.slice(at + 1))).rejects.toMatchObject(sealed)
    }
    const [format, id, , cipher] = text.split('.')
    const wrapped = (await sealer.seal(HERE, SECRET)).split('.')[2]
    const renamed = text.replace('.k1.', '.k2.')
    for (const forged of [[format, id, wrapped, cipher].join('.'), renamed, '', '...', `${text}.`, `${text}=`]) {
      await expect(sealer.open(HERE, forged)).rejects.toMatchObject(sealed)
    }
  })

  test('with another key-encryption key it is wrapped anew and stays the same secret', async () => {
    const text = await (await sealerOf(K1)).seal(HERE, SECRET)
    const both = await sealerOf(`${K2},${K1}`)
    expect(both.isCurrent(text)).toBe(false)
    const anew = await both.rewrap(text)
    expect(both.isCurrent(anew)).toBe(true)
    const alone = await sealerOf(K2)
    expect(await alone.open(HERE, anew)).toEqual(new Uint8Array(SECRET))
    await expect(alone.open(HERE, text)).rejects.toMatchObject(sealed)
    await expect(alone.rewrap(text)).rejects.toMatchObject({
      remedy: expect.stringContaining('behind the current one'),
    })
  })

  test('all secrets of a network move to the current key-encryption key', async () => {
    const old = await sealerOf(K1)
    const repo = await openRepo(openSqlite(':memory:'))
    const own = { network: 'net_a', kind: 'network', id: 'net_a' }
    const functions = { network: 'net_a', kind: 'function-key', id: 'net_a' }
    const value = {
      ...samples.network('net_a'),
      sealedEvidenceKey: await old.seal(own, SECRET),
      sealedFunctionKey: await old.seal(functions, SECRET),
    }
    const secrets = await Promise.all(
      Array.from({ length: 501 }, async (_, index) => {
        const id = `s${String(index).padStart(3, '0')}`
        return samples.putSecret(samples.secret(id, await old.seal({ ...HERE, id }, SECRET)), 0)
      }),
    )
    await repo.commit('net_a', { changes: [{ type: 'put', kind: 'network', value, revision: 0 }, ...secrets] })
    const both = await sealerOf(`${K2} ${K1}`)
    const sizes: number[] = []
    for await (const changes of rewrapChanges(repo, both, 'net_a')) {
      sizes.push(changes.length)
      await repo.commit('net_a', { changes })
    }
    expect(sizes).toEqual([1, 500, 1])
    const alone = await sealerOf(K2)
    const after = await repo.get('net_a', 'network', 'net_a')
    expect(await alone.open(own, after!.value.sealedEvidenceKey)).toEqual(new Uint8Array(SECRET))
    expect(await alone.open(functions, after!.value.sealedFunctionKey!)).toEqual(new Uint8Array(SECRET))
    const last = await repo.get('net_a', 'secret', 's500')
    expect(await alone.open({ ...HERE, id: 's500' }, last!.value.sealed)).toEqual(new Uint8Array(SECRET))
    expect(await Array.fromAsync(rewrapChanges(repo, both, 'net_a'))).toEqual([])
    await repo.close()
  })
})

describe('keys', () => {
  test('the first is the current one', () => {
    const keyring = readKeyring(` ${K2}, ${K1}\n`)
    expect([keyring.current, ...keyring.keys.keys()]).toEqual(['k2', 'k2', 'k1'])
  })

  test('what is none is refused without being quoted', () => {
    const short = toBase64url(new Uint8Array(31))
    for (const text of ['', ' , ', 'k1', `k1:${short}`, `K1${K1}`, `${K1} ${K1}`, `${K1}:x`, `${K1}A`]) {
      expect(() => readKeyring(text)).toThrow(expect.objectContaining(sealed))
      if (text.includes(short)) expect(() => readKeyring(text)).not.toThrow(new RegExp(short))
    }
  })
})
