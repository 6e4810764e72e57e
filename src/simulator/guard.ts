import { devicePaths } from '../upgraders/openwrt/scripts.ts'
import { isLocked, lockGraceSeconds } from './device-lock.ts'
import type { StartOrder } from './history.ts'
import { testImage } from './image-test.ts'
import type { Machine } from './machine.ts'
import type { CommandResult } from './router.ts'

/** What the guard is told, from the arguments of its script. */
export const orderOf = (args: readonly string[]): StartOrder => {
  const [operation = '', bootId = '', board = '', revision = '', sha256 = '', maxUptime] = args
  return { operation, bootId, board, revision, sha256, maxUptimeSeconds: Number(maxUptime) }
}

/** What the router is compared with before anything is touched; 0: nothing stands against it. */
const compare = (machine: Machine, order: StartOrder): number => {
  const { state } = machine
  const uptimeSeconds = machine.uptimeSeconds()
  if (state.bootId !== order.bootId) return 90
  if (state.board !== order.board) return 91
  if ((state.said ?? state.release).revision !== order.revision) return 92
  if (uptimeSeconds > order.maxUptimeSeconds) return 93
  if (state.upgrading !== undefined) return 96
  return isLocked(machine) ? 94 : 0
}

/** What somebody else does on the router right before the guard is run. */
const meddle = (machine: Machine): void => {
  const { state, faults } = machine
  if (faults.take('ReleaseEdited') !== undefined)
    state.said = { ...state.release, revision: `${state.release.revision}-local` }
  const image = state.files.get(devicePaths.image)
  switch (faults.take('Tampered')?.what) {
    case 'Board':
      state.board = `${state.board}-edited`
      return
    case 'Image':
      if (image !== undefined)
        state.files.set(devicePaths.image, { ...image, sha256: '0'.repeat(64), md5: '0'.repeat(32) })
      return
    case 'Upgrade':
      state.upgrading = 'somebody-else'
      machine.later(machine.timings.flashMs, machine.reboot)
      return
    case 'Lock':
      state.lock = {
        operation: 'somebody-else',
        voidAfterSeconds: machine.uptimeSeconds() + lockGraceSeconds,
      }
      return
    case undefined:
  }
}

const isImage = (machine: Machine, order: StartOrder): boolean => {
  const image = machine.state.files.get(devicePaths.image)
  if (machine.hasSha256sum()) return image?.sha256 === order.sha256
  return image !== undefined && machine.state.md5 === `${image.md5} ${order.sha256}`
}

/** From the lock to the start, with all that may stand against it once the image has been tested. */
const startOrRefuse = (
  machine: Machine,
  order: StartOrder,
  options: readonly string[],
): { verdict: number; output: string } => {
  const { state, faults } = machine
  const tested = testImage(machine, options, true)
  if (tested.code !== 0 && !tested.output.includes('Invalid option: -T'))
    return { verdict: 97, output: `${tested.output}\n` }
  if (faults.take('OverlayFull') !== undefined) return { verdict: 98, output: '' }
  // A marker without a flash would pass for one that fell back: it is written only for a start that is in time.
  if (machine.uptimeSeconds() > order.maxUptimeSeconds) return { verdict: 93, output: '' }
  const { operation, sha256, bootId } = order
  state.marker = { operation, sha256, bootId }
  return { verdict: 0, output: '' }
}

/** The device guard: at most one of any number of starters, and only in the boot that it was decided for. */
export const runGuard = async (
  machine: Machine,
  args: readonly string[],
): Promise<CommandResult | undefined> => {
  const { state, faults } = machine
  const order = orderOf(args)
  const answer = (verdict: number, output = ''): CommandResult => {
    const uptimeSeconds = machine.uptimeSeconds()
    machine.record({ type: 'Guard', verdict, bootId: state.bootId, uptimeSeconds, order })
    return { code: verdict, stdout: `${output}GUARD ${verdict}\n`, stderr: '' }
  }
  meddle(machine)
  const refusal = compare(machine, order)
  if (refusal !== 0) return answer(refusal)
  const { operation, bootId } = order
  state.lock = { operation, voidAfterSeconds: order.maxUptimeSeconds + lockGraceSeconds }
  const refuse = (verdict: number, output = '') => {
    state.lock = undefined
    return answer(verdict, output)
  }
  if (!isImage(machine, order)) return refuse(95)

  state.guards += 1
  await machine.clock.sleep(machine.timings.testMs)
  if (state.bootId !== bootId || state.power === 'Down') return undefined
  state.guards -= 1
  const { verdict, output } = startOrRefuse(machine, order, args.slice(6))
  if (verdict !== 0) return refuse(verdict, output)
  const started = answer(0)
  machine.startFlash(order, devicePaths.image)
  const lost = faults.take('StartExit')
  return lost === undefined ? started : { code: lost.code, stdout: '', stderr: '' }
}
