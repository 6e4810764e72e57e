import { describe, expect, test } from 'vitest'
import { hostOf, isLoopback, parseListen } from '../../src/core/listen-address.ts'

describe('an address to listen on', () => {
  test.each([
    ['127.0.0.1:8080', '127.0.0.1', 8080],
    ['0.0.0.0:1', '0.0.0.0', 1],
    ['localhost:0', 'localhost', 0],
    ['[::1]:8443', '[::1]', 8443],
    ['[::]:65535', '[::]', 65_535],
    ['reflash.example.org:443', 'reflash.example.org', 443],
  ])('%s', (text, host, port) => {
    const listen = parseListen(text)!
    expect([hostOf(listen), listen.port]).toEqual([host, port])
  })

  test.each([
    '',
    '8080',
    ':8080',
    '127.0.0.1',
    '127.0.0.1:',
    '127.0.0.1:x',
    '127.0.0.1:65536',
    '::1:80',
    '[]:80',
  ])('%j is none', (text) => expect(parseListen(text)).toBeUndefined())

  test.each([
    ['localhost', true],
    ['LocalHost', true],
    ['127.0.0.1', true],
    ['127.8.9.10', true],
    ['::1', true],
    ['0.0.0.0', false],
    ['::', false],
    ['192.168.1.1', false],
    ['127.0.0.1.example.org', false],
    ['127.example.org', false],
    ['localhost.example.org', false],
  ])('%s is for this machine alone: %s', (host, expected) => expect(isLoopback(host)).toBe(expected))
})
