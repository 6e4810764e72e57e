import { describe, expect, it } from 'vitest'
import { imageReadiness } from '../../src/core/image-readiness.ts'
import { reasonsOf } from '../../src/core/reasons.ts'
import type { StoredImage } from '../../src/core/stored-image.ts'

const sha256 = 'a'.repeat(64)
const revision = 'r29233-443ec4032a'

interface Case {
  name: string
  declared?: { sha256?: string; boards?: string[] }
  /** Boards and revision of the metadata; null: the image carries none. */
  metadata?: { boards: string[]; revision?: string } | null
  build?: { osIdentifier?: string } | null
}

const readiness = ({
  declared = {},
  metadata = { boards: ['a', 'b'], revision },
  build = { osIdentifier: `OpenWrt 24.10.8 ${revision}` },
}: Case) => {
  const stored: StoredImage = {
    sha256,
    sizeBytes: 1,
    ...(metadata && { metadata: { compatVersion: '1.0', ...metadata } }),
  }
  return imageReadiness({ image: declared, build: build ?? undefined }, stored)
}

describe('imageReadiness', () => {
  it.each<Case & { boards: string[] }>([
    { name: 'the boards of the metadata', boards: ['a', 'b'] },
    { name: 'a narrower explicit list', declared: { boards: ['b'] }, boards: ['b'] },
    { name: 'a list instead of metadata', declared: { boards: ['x'] }, metadata: null, boards: ['x'] },
    { name: 'the declared digest', declared: { sha256 }, boards: ['a', 'b'] },
    { name: 'a build that declares no identifier', build: {}, boards: ['a', 'b'] },
    { name: 'a build that is not known', build: null, boards: ['a', 'b'] },
    { name: 'metadata without a revision', metadata: { boards: ['a'] }, boards: ['a'] },
    { name: 'the revision inside', build: { osIdentifier: `X  ${revision}  y` }, boards: ['a', 'b'] },
    { name: 'the revision alone', build: { osIdentifier: revision }, boards: ['a', 'b'] },
  ])('is ready with $name', ({ boards, ...given }) => {
    expect(readiness(given)).toEqual({ ready: true, boards })
  })

  const other = 'b'.repeat(64)
  const many = Array.from({ length: 9 }, (_, index) => `board-${index}`)
  it.each<Case & { reason?: string; says: string }>([
    {
      name: 'another digest',
      declared: { sha256: other },
      reason: 'DigestMismatch',
      says: `expected is ${other}`,
    },
    { name: 'neither list nor metadata', metadata: null, says: 'spec.boards' },
    { name: 'an empty list', declared: { boards: [] }, says: 'empty' },
    { name: 'metadata that names no board', metadata: { boards: [] }, says: 'empty' },
    { name: 'a board that the metadata lacks', declared: { boards: ['a', 'x'] }, says: 'not for x: its' },
    {
      name: 'many such boards',
      declared: { boards: many },
      says: 'board-0, board-1, board-2, board-3, board-4 and 4 more',
    },
    { name: 'five such boards', declared: { boards: many.slice(0, 5) }, says: 'board-4: its' },
    {
      name: 'nothing that says which release it is',
      metadata: { boards: ['a'] },
      build: {},
      says: 'the image does not say which release it is: set osIdentifier on its build',
    },
    {
      name: 'a list against empty metadata',
      declared: { boards: ['x'] },
      metadata: { boards: [] },
      says: 'names no board',
    },
    { name: 'another release', build: { osIdentifier: 'OpenWrt 24.10.7 r1-a' }, says: revision },
    { name: 'a longer revision', build: { osIdentifier: `OpenWrt ${revision}0` }, says: revision },
    { name: 'a shorter revision', build: { osIdentifier: 'OpenWrt r29233' }, says: revision },
  ])('is not ready with $name', ({ reason = 'ImageInvalid', says, ...given }) => {
    expect(readiness(given)).toEqual({ ready: false, reason, message: expect.stringContaining(says) })
    expect(reasonsOf('Stalled')).toContain(reason)
  })
})
