import { readFileSync, statSync } from 'node:fs'
import { createSecureContext } from 'node:tls'
import { messageOf, ReflashError } from '../core/errors.ts'
import type { Clock } from '../ports/clock.ts'

export interface TlsMaterial {
  cert: Buffer
  key: Buffer
}

export interface TlsFiles {
  read(): TlsMaterial
  /** What the files hold now, if that is new and good; looks at most once a second. */
  readIfChanged(): TlsMaterial | undefined
}

const lookIntervalMs = 1000

/** Certificate and key of the server. Files that are replaced by bad ones are told of and not used. @throws ReflashError `Invalid`. */
export function openTlsFiles(
  paths: { cert: string; key: string },
  { clock, onError }: { clock: Clock; onError: (why: string) => void },
): TlsFiles {
  let stamp = stampOf(paths)
  let material = readMaterial(paths)
  let lookedAtMs = clock.monotonic()
  return {
    read: () => material,
    readIfChanged() {
      if (clock.monotonic() - lookedAtMs < lookIntervalMs) return undefined
      lookedAtMs = clock.monotonic()
      const now = stampOf(paths)
      if (now === stamp) return undefined
      stamp = now
      try {
        material = readMaterial(paths)
        return material
      } catch (error) {
        onError(`${messageOf(error)}; the certificate from before stays in use`)
        return undefined
      }
    },
  }
}

function readMaterial({ cert, key }: { cert: string; key: string }): TlsMaterial {
  try {
    const material = { cert: readFileSync(cert), key: readFileSync(key) }
    // Says now whether they belong together.
    createSecureContext(material)
    return material
  } catch (error) {
    throw new ReflashError('Invalid', `--tls-cert ${cert} and --tls-key ${key}: ${messageOf(error)}`, {
      cause: error,
    })
  }
}

/** Changes when a file is written or replaced. */
const stampOf = (paths: { cert: string; key: string }): string =>
  [paths.cert, paths.key]
    .map((path) => {
      const found = statSync(path, { throwIfNoEntry: false })
      return found ? `${found.ino}:${found.size}:${found.mtimeMs}` : 'absent'
    })
    .join(' ')
