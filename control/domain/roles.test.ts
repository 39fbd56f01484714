import { describe, expect, test } from 'vitest'
import {
  allowed,
  isNetworkBound,
  OPERATION_IDS,
  OPERATIONS,
  type OperationId,
  PRINCIPALS,
  rolesTable,
} from './roles.ts'

const of = (id: OperationId) => PRINCIPALS.filter((principal) => allowed(id, principal))
/** A draft is too large for the query of a GET. */
const reads = new Set<OperationId>(['intent.plan'])
const writes = OPERATION_IDS.filter((id) => {
  return OPERATIONS[id].method !== 'GET' && !id.startsWith('connector.') && !reads.has(id)
})

describe('what each role may', () => {
  test('no route is there twice', () => {
    const routes = OPERATION_IDS.map(
      (id) => `${OPERATIONS[id].method} ${OPERATIONS[id].path.replace(/\{\w+\}/g, '{}')}`,
    )
    expect(new Set(routes).size).toBe(routes.length)
  })

  test('a viewer changes nothing', () => {
    expect(writes.filter((id) => allowed(id, 'viewer'))).toEqual([])
  })

  test('the rotation job starts and aborts rotations and changes nothing else', () => {
    // Of runs at clouds, the service lets it have rotations alone.
    const rotating = ['runs.create', 'runs.abort', 'rotations.abort', 'cloudRuns.create', 'cloudRuns.abort']
    expect(writes.filter((id) => allowed(id, 'rotation'))).toEqual(rotating)
    expect(allowed('intent.get', 'rotation')).toBe(false)
    expect(allowed('audit.list', 'rotation')).toBe(false)
  })

  test('tokens are for owners, networks for the installation', () => {
    for (const id of OPERATION_IDS.filter((name) => name.startsWith('tokens.')))
      expect(of(id)).toEqual(['admin', 'owner'])
    expect(of('networks.create')).toEqual(['admin'])
    expect(of('networks.list')).toEqual(['admin'])
  })

  test('an operator may what an owner may, but for tokens and the end of the network', () => {
    const only = OPERATION_IDS.filter((id) => allowed(id, 'owner') && !allowed(id, 'operator'))
    expect(only).toEqual(['networks.remove', 'tokens.list', 'tokens.create', 'tokens.get', 'tokens.revoke'])
  })

  test('a connector reaches its own four and nothing of people, and people nothing of connectors', () => {
    const own = OPERATION_IDS.filter((id) => allowed(id, 'connector') && !allowed(id, 'anybody'))
    expect(own).toEqual(['connector.document', 'connector.report', 'connector.link', 'relay.serve'])
    for (const id of own) expect(of(id)).toEqual(['connector'])
  })

  test('a function gets grants and nothing else, and nobody else gets one', () => {
    const own = OPERATION_IDS.filter((id) => allowed(id, 'function') && !allowed(id, 'anybody'))
    expect(own).toEqual(['grants.create'])
    expect(of('grants.create')).toEqual(['function'])
  })

  test('without credentials there are joining, calling by a session token, and what is public', () => {
    const open = OPERATION_IDS.filter((id) => allowed(id, 'anybody'))
    expect(open).toEqual(['connector.join', 'relay.call', 'meta.openapi', 'meta.docs', 'meta.health'])
    expect(open.filter(isNetworkBound)).toEqual(['relay.call'])
  })
})

test('the table for people has a line for each operation', () => {
  const lines = rolesTable().split('\n')
  expect(lines).toHaveLength(OPERATION_IDS.length + 2)
  expect(lines.find((line) => line.includes('`tokens.create`'))).toBe(
    '| `tokens.create` | POST `/v1/networks/{network}/tokens` | yes | yes |  |  |  |  |  |',
  )
})
