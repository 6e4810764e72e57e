import { devicePaths, stoppableServices, type ScriptName } from '../upgraders/openwrt/scripts.ts'
import { lockGraceSeconds, mayTouch } from './device-lock.ts'
import { runGuard } from './guard.ts'
import { testImage } from './image-test.ts'
import type { Machine } from './machine.ts'
import { memoryOf, probeOutput } from './probe-output.ts'
import type { CommandResult } from './router.ts'

const ended = (text: string, code = 0): CommandResult => ({ code, stdout: text, stderr: '' })

const putBack = ({ state, record }: Machine, keepImage: boolean): void => {
  const services = state.stoppedServices
  if (services.length > 0) record({ type: 'ServicesStarted', services })
  state.stoppedServices = []
  state.files.delete(devicePaths.part)
  if (keepImage && services.length === 0) return
  state.files.delete(devicePaths.image)
  state.md5 = undefined
}

const place = (machine: Machine, [sha256]: readonly string[]): CommandResult => {
  const { state } = machine
  const isPresent = machine.hasSha256sum() && state.files.get(devicePaths.image)?.sha256 === sha256
  const answer = !mayTouch(machine) ? 'busy' : isPresent ? 'present' : 'absent'
  if (answer !== 'busy') state.files.delete(devicePaths.part)
  if (answer === 'absent') {
    state.files.delete(devicePaths.image)
    state.md5 = undefined
  }
  return ended(`@state\n${answer}\n${memoryOf(machine)}@end\n`)
}

const stopServices = (machine: Machine): CommandResult => {
  const { state, record } = machine
  const services = Object.keys(stoppableServices).filter((name) => !state.stoppedServices.includes(name))
  if (services.length > 0) record({ type: 'ServicesStopped', services })
  state.stoppedServices = [...state.stoppedServices, ...services]
  return ended(`${memoryOf(machine)}@end\n`)
}

const adopt = (machine: Machine, [md5 = '', sha256 = '']: readonly string[]): CommandResult => {
  const { state, record } = machine
  if (!mayTouch(machine)) return ended('@busy\n@end\n')
  const part = state.files.get(devicePaths.part)
  state.md5 = `${md5} ${sha256}`
  if (part === undefined) return ended('', 7)
  state.files.delete(devicePaths.part)
  state.files.set(devicePaths.image, part)
  record({ type: 'Uploaded', sha256: part.sha256, sizeBytes: part.sizeBytes, bootId: state.bootId })
  return ended('@end\n')
}

const test = async (machine: Machine, options: readonly string[]): Promise<CommandResult | undefined> => {
  const { bootId } = machine.state
  await machine.clock.sleep(machine.timings.testMs)
  if (machine.state.bootId !== bootId || machine.state.power === 'Down') return undefined
  const { code, output } = testImage(machine, options)
  return ended(`@output\n${output}\n@exit ${code}\n@end\n`)
}

const clear = (machine: Machine, [operation = '', bootId, maxUptime]: readonly string[]): CommandResult => {
  const { state } = machine
  if (state.bootId !== bootId) return ended('@end\n')
  const isOwn =
    state.lock?.operation === operation &&
    state.lock.voidAfterSeconds === Number(maxUptime) + lockGraceSeconds
  const isOver = machine.uptimeSeconds() > Number(maxUptime) && state.upgrading === undefined
  if (isOwn && isOver) state.lock = undefined
  if (mayTouch(machine)) {
    if (state.marker?.operation === operation && state.marker.bootId === bootId) state.marker = undefined
    putBack(machine, false)
  }
  return ended('@end\n')
}

const abandon = (machine: Machine, [keep]: readonly string[]): CommandResult => {
  if (!mayTouch(machine)) return ended('@busy\n@end\n')
  putBack(machine, keep === 'yes')
  return ended('@end\n')
}

type DeviceScript = (
  machine: Machine,
  args: readonly string[],
) => CommandResult | undefined | Promise<CommandResult | undefined>

/** What each script of the upgrader does to a router, and answers. Undefined: the router went down under it. */
export const deviceScripts: Readonly<Record<ScriptName, DeviceScript>> = {
  probe: (machine) => ended(probeOutput(machine)),
  place,
  'stop-services': stopServices,
  adopt,
  test,
  guard: runGuard,
  log: ({ state }) => ended(`@log\n${state.log.slice(-40).join('\n')}\n\n@end\n`),
  abandon,
  clear,
}
