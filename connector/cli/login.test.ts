import { expect, it } from 'vitest'
import { controlUrl, warnOfPlainHttp } from './login.ts'
import { recordedIo } from './testing.ts'

it.each([
  ['http://control.example.net', true],
  ['http://192.0.2.1:9701', true],
  ['https://control.example.net', false],
  ['http://localhost:9701', false],
  ['http://127.0.0.1:9701', false],
  ['http://[::1]:9701', false],
])('warns of a token that goes to %s in the clear: %s', (url, warns) => {
  const io = recordedIo()
  warnOfPlainHttp(url, 'can take the token and use it', io)
  expect(io.err() !== '').toBe(warns)
})

it.each(['control.example.net', 'ftp://control.example.net', 'https://me:secret@control.example.net', ''])(
  'takes %j for no control plane',
  (text) => {
    expect(() => controlUrl(text)).toThrow('no address of a control plane')
  },
)

it('keeps scheme, host and port', () => {
  expect(controlUrl('https://control.example.net:8443/v1/?x#y')).toBe('https://control.example.net:8443')
})
