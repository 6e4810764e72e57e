/**
 * `reflash controller` as a process that something may befall: KUBECONFIG NAMESPACE IMAGES CACHE [WHEN NAME NTH
 * FATE]. It says when it leads, and does nothing more before it is told to by a line of input; then it says each write and
 * each command before and after, and last how it ended. Every line is JSON. SIGTERM ends it in order.
 */
import { writeSync } from 'node:fs'
import { fatefulNotice, nextInput } from '../crash/fate.ts'
import { lookOnCluster, type Notice } from '../crash/look-on.ts'
import { startController } from '../support/cluster-fleet.ts'
import { electionTimes } from './election-times.ts'

const [kubeconfig = '', namespace = '', images = '', cache = '', ...point] = process.argv.slice(2)
// Synchronous, so that what was said before a kill has been said.
const say = (line: object): void => void writeSync(1, `${JSON.stringify(line)}\n`)

const told = nextInput()
const meet = fatefulNotice(point, say)
const notice: Notice = async (...occasion) => {
  await told
  await meet(...occasion)
}

const controller = startController(
  kubeconfig,
  { images, cache, namespace: [namespace], listen: 'none' },
  {
    electionTimes,
    events: {
      emit: (event) => {
        if (event.type === 'Bug') say({ bug: `${event.controller} ${event.key}: ${String(event.error)}` })
        if (event.type === 'Info' || event.type === 'Warning')
          say({ told: event.reason, message: event.message })
        if (event.type === 'Phase')
          say({ phase: `${event.operation.name}: ${event.phase}: ${event.message}` })
      },
    },
    decorate: (outside) => lookOnCluster(outside, notice),
  },
)
process.once('SIGTERM', () => void controller.stop())
say({ ended: await controller.ended })
