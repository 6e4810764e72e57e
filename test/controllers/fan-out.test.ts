import { expect, test } from 'vitest'
import { fanOut } from '../../src/controllers/fan-out.ts'
import type { EventSink, FleetEvent } from '../../src/ports/event-sink.ts'

const event: FleetEvent = { type: 'Info', reason: 'Started', message: 'started' }
const broken: EventSink = {
  emit() {
    throw new Error('broken')
  },
}
const keeping = (): EventSink & { kept: FleetEvent[] } => {
  const kept: FleetEvent[] = []
  return { kept, emit: (each) => void kept.push(each) }
}

test('a sink that throws stops neither the others nor whoever emits, and the others hear of it', () => {
  const [first, last] = [keeping(), keeping()]
  fanOut(first, broken, last).emit(event)
  const bug = { type: 'Bug', controller: 'events', key: 'Info', error: new Error('broken') }
  expect(first.kept).toEqual([event, bug])
  expect(last.kept.toSorted((a, b) => (a.type < b.type ? 1 : -1))).toEqual([event, bug])
})

test('nothing is told where nobody can listen', () => {
  fanOut(broken, broken).emit(event)
  fanOut().emit(event)
})
