/** A process that fills an image cache until it is killed: MANIFEST_FOLDER CACHE_FOLDER SEED. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { systemClock } from '../../src/adapters/clock/system-clock.ts'
import { createImageStore } from '../../src/adapters/images/image-store.ts'
import { makeFirmware } from '../../src/simulator/firmware.ts'
import { readMetadata } from '../../src/upgraders/openwrt/image-metadata.ts'

const [manifestFolder = '', cacheFolder = '', seed = ''] = process.argv.slice(2)
const store = createImageStore({ cacheFolder, readMetadata, clock: systemClock })
for (let number = 0; ; number += 1) {
  const revision = `r${seed}-${number}`
  const image = makeFirmware({ version: '1', revision, boards: ['a'], sizeBytes: 3_000_000 })
  await writeFile(join(manifestFolder, 'next.bin'), image)
  await store.fetch({ path: 'next.bin', manifestFolder }, new AbortController().signal)
}
