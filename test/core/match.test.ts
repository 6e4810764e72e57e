import { describe, expect, test } from 'vitest'
import { imageForBoard, isReadyImage, runsBuild } from '../../src/core/match.ts'
import { build, condition, device, image } from '../support/core-objects.ts'

describe('the image for a board', () => {
  test('is the one that lists it', () => {
    const images = [image('a', { status: { boards: ['x', 'y'] } }), image('b', { status: { boards: ['z'] } })]
    expect(imageForBoard('y', images)).toEqual({ kind: 'One', image: images[0] })
  })
  test('is none, where none does, or none is known', () => {
    expect(imageForBoard('q', [image()])).toEqual({ kind: 'None' })
    expect(imageForBoard('toy', [])).toEqual({ kind: 'None' })
    expect(imageForBoard('toy', [image('a', { status: { boards: [] } })])).toEqual({ kind: 'None' })
  })
  test('is never a coin toss between two', () => {
    expect(imageForBoard('toy', [image('b'), image('a')])).toEqual({ kind: 'Ambiguous', names: ['a', 'b'] })
  })
  test('is never one that is not Ready, or no more', () => {
    const notReady = image('a', { status: { conditions: [condition('Ready', 'DigestMismatch', 'False')] } })
    const stale = image('b', { status: { observedGeneration: 0 } })
    expect([notReady, stale].map(isReadyImage)).toEqual([false, false])
    expect(imageForBoard('toy', [notReady, stale])).toEqual({ kind: 'None' })
    expect(imageForBoard('toy', [notReady, image('c'), stale])).toMatchObject({ kind: 'One' })
  })
})

describe('a device runs a build', () => {
  const { status } = device({}, { osIdentifier: 'Toy 2.0.0', release: { revision: 'r2' } })
  const learned = build()
  delete learned.spec.osIdentifier
  const withRevision = (revision: string, boards = ['toy']) =>
    image('image', { status: { metadata: { revision }, boards } })

  test('when it reports what the build declares, whatever the revision', () => {
    expect(runsBuild(status, { build: build(), images: [withRevision('else')] })).toBe(true)
    expect(
      runsBuild(status, { build: build('new', { osIdentifier: 'Toy 2.0.1' }), images: [withRevision('r2')] }),
    ).toBe(false)
  })
  test('when its revision is that of an image for its board, where nothing is declared', () => {
    expect(runsBuild(status, { build: learned, images: [withRevision('r2')] })).toBe(true)
    expect(runsBuild(status, { build: learned, images: [withRevision('r3')] })).toBe(false)
    expect(runsBuild(status, { build: learned, images: [withRevision('r2', ['else'])] })).toBe(false)
    expect(runsBuild(status, { build: learned, images: [] })).toBe(false)
  })
  test('never by what is not known', () => {
    expect(runsBuild({}, { build: learned, images: [image()] })).toBe(false)
    expect(runsBuild({}, { build: build(), images: [] })).toBe(false)
    expect(runsBuild({ release: {}, board: 'toy' }, { build: learned, images: [image()] })).toBe(false)
    expect(
      runsBuild({ release: { revision: 'r2' }, board: 'toy' }, { build: learned, images: [image()] }),
    ).toBe(false)
  })
})
