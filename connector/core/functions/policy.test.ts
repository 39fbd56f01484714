import fc from 'fast-check'
import { describe, expect, it, test } from 'vitest'
import { address, formatAddress, prefix } from '../../../protocol/net.ts'
import { type Asked, admitAddresses, admitTarget, type OwnPorts, ServicePolicy } from './policy.ts'
import { isSpecial } from './special-address.ts'
import { identityOf, networkService, targetService } from './testing.ts'

const NOBODY: OwnPorts = { addresses: new Set(), ports: new Set() }
const SERVICES = [
  targetService(),
  targetService({ name: 'db', kind: 'tcp', host: '10.1.0.30', port: 5432, hosts: [] }),
  targetService({ name: 'hr', allow: ['payroll'], host: '10.1.0.40', port: 80, hosts: [] }),
  networkService(),
  networkService({ name: 'lab', networks: [prefix('10.1.0.0/16')], ports: [{ start: 443, end: 443 }], allow: [] }),
]
const policy = new ServicePolicy('hq', SERVICES)

/** `http://erp:8000` or `tcp://db:5432`, with the port always stated. */
function asked(text: string): Asked {
  const [, kind, host, port] = /^(http|tcp):\/\/(.*):(\d+)$/.exec(text)!
  return { kind: kind as Asked['kind'], host: host!, port: Number(port) }
}

function outcome(text: string, ...services: string[]): string {
  const decision = policy.decide(identityOf(...services), asked(text))
  if (decision.type === 'target') return decision.service.name
  if (decision.type === 'network') return decision.candidates.map(({ name }) => name).join()
  return `${decision.problem.code}${decision.service === undefined ? '' : ` ${decision.service}`}`
}

describe('who may use what', () => {
  test.each([
    ['http://erp:8000', ['erp'], 'erp'],
    ['http://ERP.internal:8000', ['erp'], 'erp'],
    ['http://erp.internal.:8000', ['erp'], 'erp'],
    ['http://erp.corp.example:8000', ['erp'], 'erp'],
    ['http://erp:80', ['erp'], 'erp'],
    ['http://erp:443', ['erp'], 'erp'],
    ['http://erp:8001', ['erp'], 'unknown-service erp'],
    ['tcp://erp:8000', ['erp'], 'bad-request erp'],
    ['tcp://db:5432', ['db'], 'db'],
    ['tcp://db:443', ['db'], 'unknown-service db'],
    ['http://db:5432', ['db'], 'bad-request db'],
    // By the address of a service nothing is reached but what a network lists.
    ['tcp://10.1.0.30:5432', ['db'], 'unknown-service'],
    ['http://erp:8000', [], 'service-not-allowed erp'],
    ['http://erp:8000', ['db'], 'service-not-allowed erp'],
    ['http://hr:80', ['hr'], 'service-not-allowed hr'],
    ['http://nothing:80', ['erp'], 'unknown-service'],
    ['http://internal:80', ['erp'], 'unknown-service'],
    ['http://__proto__:80', ['erp'], 'unknown-service'],
    ['tcp://10.1.0.7:443', ['lan'], 'lan'],
    ['http://10.1.0.7:8010', ['lan'], 'lan'],
    ['http://10.1.0.7:8011', ['lan'], 'unknown-service'],
    ['http://10.1.1.7:443', ['lan'], 'unknown-service'],
    ['http://10.1.1.7:443', ['lan', 'lab'], 'service-not-allowed lab'],
    ['http://10.1.0.7:443', ['lan', 'lab'], 'lan'],
    ['http://wiki.corp:443', ['lan'], 'lan'],
    // Whoever may use no network learns nothing of names.
    ['http://wiki.corp:443', ['erp'], 'unknown-service'],
    ['http://[::ffff:10.1.0.7]:443', ['lan'], 'unknown-service'],
  ])('%s with a token for %j: %s', (text, services, expected) => {
    expect(outcome(text, ...services)).toBe(expected)
  })

  it('says which side refuses, and the remedy of that side', () => {
    const problemOf = (text: string, ...services: string[]) => {
      const decision = policy.decide(identityOf(...services), asked(text))
      return decision.type === 'refused' ? decision.problem : undefined
    }
    expect(problemOf('http://erp:8000')!.remedy).toBe('isthmus function allow orders hq/erp')
    expect(problemOf('http://hr:80', 'hr')!.remedy).toContain('services.hr.allow')
    expect(problemOf('http://erp:9', 'erp')!.remedy).toContain('port 8000')
    for (const text of ['http://erp:9', 'tcp://erp:8000', 'http://nothing:80']) {
      expect(JSON.stringify(problemOf(text, 'erp'))).not.toMatch(/10\.1\.0\./)
    }
  })
})

describe('addresses', () => {
  const ask = asked('tcp://wiki.corp:443')
  const admit = (network: string, own: OwnPorts, ...addresses: string[]) => {
    const service = networkService({ networks: network.split(' ').map(prefix) })
    const admitted = admitAddresses([service], ask, addresses.map(address), own)
    return 'problem' in admitted ? admitted.problem.code : admitted.addresses.join(' ')
  }

  test.each([
    ['10.1.0.0/24', '10.1.0.7', '10.1.0.7'],
    ['10.1.0.0/24', '10.1.1.7', 'address-forbidden'],
    // The name has one address inside and one outside: only the one that was checked is dialled.
    ['10.1.0.0/24', '192.0.2.1 10.1.0.7 127.0.0.1', '10.1.0.7'],
    ['0.0.0.0/0', '127.0.0.1', 'address-forbidden'],
    ['0.0.0.0/0', '127.8.9.1', 'address-forbidden'],
    ['0.0.0.0/0', '0.0.0.0', 'address-forbidden'],
    ['0.0.0.0/0', '169.254.169.254', 'address-forbidden'],
    ['0.0.0.0/0', '224.0.0.251', 'address-forbidden'],
    ['0.0.0.0/0', '255.255.255.255', 'address-forbidden'],
    ['169.254.0.0/16', '169.254.169.254', 'address-forbidden'],
    ['127.0.0.0/8 127.0.0.1/32', '127.0.0.1', '127.0.0.1'],
    ['127.0.0.1/32', '127.0.0.2', 'address-forbidden'],
    ['::/0', '::1', 'address-forbidden'],
    ['::/0', '::', 'address-forbidden'],
    ['::/0', 'fe80::1', 'address-forbidden'],
    ['::/0', 'febf::1', 'address-forbidden'],
    ['::/0', 'ff02::1', 'address-forbidden'],
    ['::/0', '::ffff:127.0.0.1', 'address-forbidden'],
    ['::/0', '::ffff:10.1.0.7', 'address-forbidden'],
    ['::/0', '::127.0.0.1', 'address-forbidden'],
    ['::/0', '64:ff9b::7f00:1', 'address-forbidden'],
    ['::/0', '2002:7f00:1::1', 'address-forbidden'],
    ['::/0', 'fd00:ec2::254', 'address-forbidden'],
    ['::/0', '2001:db8::7', '2001:db8::7'],
    ['::/0', '10.1.0.7', 'address-forbidden'],
    ['::1/128', '::1', '::1'],
  ])('in %s, %s: %s', (network, addresses, expected) => {
    expect(admit(network, NOBODY, ...addresses.split(' '))).toBe(expected)
  })

  it('keeps our own ports out of reach, unless the address is listed by itself', () => {
    const own = { addresses: new Set([address('10.1.0.1')]), ports: new Set([443]) }
    expect(admit('10.1.0.0/24', own, '10.1.0.1')).toBe('address-forbidden')
    expect(admit('10.1.0.0/24', own, '10.1.0.2')).toBe('10.1.0.2')
    expect(admit('10.1.0.0/24', { ...own, ports: new Set([9700]) }, '10.1.0.1')).toBe('10.1.0.1')
    expect(admit('10.1.0.1/32', own, '10.1.0.1')).toBe('10.1.0.1')
  })

  it('dials the address of a target as it stands, and what a name leads to only where it is none of the special', () => {
    const of = (host: string, ...addresses: string[]) =>
      admitTarget(targetService({ host }), asked('http://erp:8000'), addresses.map(address), NOBODY)
    expect(of('127.0.0.1')).toEqual(['127.0.0.1'])
    expect(of('erp.corp', '10.9.9.9', '127.0.0.1')).toEqual(['10.9.9.9'])
    expect(of('erp.corp', '127.0.0.1')).toMatchObject({ problem: { code: 'address-forbidden' } })
    expect(JSON.stringify(of('erp.corp', '10.9.9.9', '127.0.0.1').valueOf())).not.toContain('127')
    expect(JSON.stringify(of('erp.corp', '127.0.0.1'))).not.toContain('127')
  })

  it('admits nothing that is special or outside, whatever the answer of the resolver', () => {
    const octets = fc.oneof(
      fc.uint8Array({ minLength: 4, maxLength: 4 }),
      fc.uint8Array({ minLength: 16, maxLength: 16 }),
      fc.uint8Array({ minLength: 4, maxLength: 4 }).map((tail) => Uint8Array.of(10, 1, ...tail.subarray(2))),
    )
    fc.assert(
      fc.property(fc.array(octets, { maxLength: 8 }), (answers) => {
        const addresses = answers.map(formatAddress)
        const service = networkService({ networks: [prefix('10.1.0.0/16'), prefix('::/0')] })
        const admitted = admitAddresses([service], ask, addresses, NOBODY)
        const chosen = 'problem' in admitted ? [] : admitted.addresses
        for (const one of chosen) expect(isSpecial(one) || (!one.includes(':') && !one.startsWith('10.1.'))).toBe(false)
        const wanted = addresses.filter((one) => one.startsWith('10.1.') || (one.includes(':') && !isSpecial(one)))
        expect(chosen).toEqual(wanted)
      }),
    )
  })
})
