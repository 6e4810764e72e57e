import type { EventSink, FleetEvent } from '../ports/event-sink.ts'

/** One sink that tells many. A sink that throws stops neither the others nor whoever emits: the others hear of it. */
export const fanOut = (...sinks: readonly EventSink[]): EventSink => ({
  emit: (event) => deliver(event, sinks),
})

function deliver(event: FleetEvent, sinks: readonly EventSink[]): void {
  for (const sink of sinks) {
    try {
      sink.emit(event)
    } catch (error) {
      // One sink fewer each time, so that it ends even when all of them throw.
      const others = sinks.filter((other) => other !== sink)
      deliver({ type: 'Bug', controller: 'events', key: event.type, error }, others)
    }
  }
}
