import { orAbort } from '../or-abort.ts'

type Run<T> = (signal: AbortSignal) => Promise<T>

interface Flight<T> {
  result: Promise<T>
  controller: AbortController
  waiters: number
}

/**
 * Lets all who ask for the same key at the same time share one run and its outcome. A caller who aborts leaves alone;
 * the run is aborted when the last one has left.
 */
export function createSingleFlight<T>(): (key: string, signal: AbortSignal, run: Run<T>) => Promise<T> {
  const flights = new Map<string, Flight<T>>()

  const start = (key: string, run: Run<T>): Flight<T> => {
    const controller = new AbortController()
    const result = run(controller.signal)
    const flight: Flight<T> = { result, controller, waiters: 0 }
    flights.set(key, flight)
    const land = () => {
      if (flights.get(key) === flight) flights.delete(key)
    }
    // Also the one place where a failure is heard when everybody has left.
    result.then(land, land)
    return flight
  }

  return async (key, signal, run) => {
    signal.throwIfAborted()
    const flight = flights.get(key) ?? start(key, run)
    flight.waiters += 1
    try {
      return await orAbort(flight.result, signal)
    } finally {
      flight.waiters -= 1
      if (flight.waiters === 0) {
        if (flights.get(key) === flight) flights.delete(key)
        flight.controller.abort()
      }
    }
  }
}
