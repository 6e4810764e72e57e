import type { Fleet } from './fleet.ts'
import { serveRouter } from './ssh-server.ts'

/**
 * Puts every router of a fleet behind a real SSH server at the address that its device declares, which has to be one of
 * this machine. @throws ReflashError `Unreachable` when one cannot listen; then none does.
 */
export const serveFleet = async (
  fleet: Pick<Fleet, 'routers' | 'addresses'>,
): Promise<{ close(): Promise<void> }> => {
  const starts = await Promise.allSettled(
    fleet.routers.map((router, index) => serveRouter(router, fleet.addresses[index])),
  )
  const served = starts.flatMap((start) => (start.status === 'fulfilled' ? [start.value] : []))
  const close = async () => {
    await Promise.all(served.map((server) => server.close()))
  }
  const failed = starts.find((start) => start.status === 'rejected')
  if (failed === undefined) return { close }
  await close()
  throw failed.reason
}
