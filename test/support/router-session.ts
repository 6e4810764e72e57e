import { createHash } from 'node:crypto'
import type { Session } from '../../src/ports/connector.ts'
import type { Job, StartToken } from '../../src/ports/upgrader.ts'
import { openwrtUpgrader } from '../../src/upgraders/openwrt/openwrt.ts'
import type { NamespaceRouter } from './namespace-router.ts'

/** A session that runs everything in the router's namespaces, with no SSH between. */
export const sessionOf = (router: NamespaceRouter): Session => ({
  address: router.address,
  hostKeys: [],
  exec: (command, { stdin = '' }) => router.run(command, stdin),
  upload: async (command, content) => {
    const chunks: Uint8Array[] = []
    for await (const chunk of content) chunks.push(chunk)
    return router.run(command, Buffer.concat(chunks))
  },
  close: async () => {},
})

export const jobOf = (image: Uint8Array, more: Partial<Job> = {}): Job => ({
  operation: 'ap-17-0123abcd-1',
  image: {
    sha256: createHash('sha256').update(image).digest('hex'),
    sizeBytes: image.length,
    boards: ['tplink,archer-c7-v5'],
  },
  options: {},
  timeouts: { commandMs: 20_000, uploadMs: 60_000 },
  ...more,
})

export const probeOf = (session: Session, signal: AbortSignal) =>
  openwrtUpgrader.probe(session, { commandMs: 20_000 }, signal)

/** What a start is compared with, from what the router says now. */
export const tokenOf = async (
  session: Session,
  signal: AbortSignal,
  forSeconds = 60,
): Promise<StartToken> => {
  const { bootId, board, release, uptimeSeconds } = await probeOf(session, signal)
  return { bootId, board, revision: release.revision ?? '', maxUptimeSeconds: uptimeSeconds + forSeconds }
}

export const contextOf = (image: Uint8Array) => ({
  content: async function* () {
    yield image
  },
  onProgress: () => {},
})
