import { once } from 'node:events'
import type { Notice } from './look-on.ts'
import type { Fate } from './world.ts'

type Say = (line: object) => void

const meetings: Record<Fate, (say: Say) => Promise<unknown>> = {
  killed: () => {
    process.kill(process.pid, 'SIGKILL')
    return new Promise(() => {})
  },
  stopped: async () => process.kill(process.pid, 'SIGSTOP'),
  held: (say) => {
    say({ held: true })
    return nextInput()
  },
}

/** Waits for a line of input; otherwise nobody listens to it, and it keeps no process from ending. */
export async function nextInput(): Promise<void> {
  process.stdin.resume()
  await once(process.stdin, 'data')
  process.stdin.pause()
}

/**
 * Says each write and each command before and after. At a point, given as WHEN NAME NTH FATE, the process is killed,
 * stopped as by SIGSTOP, or held until it is told to go on by a line of input.
 */
export function fatefulNotice(at: readonly string[], say: Say): Notice {
  const point = at.slice(0, 3).join(' ')
  let fate = at[3] as Fate | undefined
  return async (when, name, nth) => {
    say({ when, name, nth })
    if (fate === undefined || point !== `${when} ${name} ${nth}`) return
    const meet = meetings[fate]
    // Each device has its own count: what one has met does not befall the next.
    fate = undefined
    await meet(say)
  }
}
