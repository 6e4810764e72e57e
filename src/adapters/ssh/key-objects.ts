import { createSecretKey } from 'node:crypto'
import type { Client } from 'ssh2'

/** Where ssh2 keeps the keys of a connection: in what encrypts, and in what decrypts. */
interface Internals {
  _protocol?: Record<'_cipher' | '_decipher', Record<string, unknown> | undefined>
}

const fields = [
  '_encKey',
  '_encKeyMain',
  '_encKeyPktLen',
  '_decKey',
  '_decKeyMain',
  '_decKeyPktLen',
  '_decipherKey',
  '_macKey',
] as const

/**
 * ssh2 makes ciphers anew for every packet, and Node.js 24 takes ten times as long to make one from bytes as from a
 * KeyObject: a quarter of the CPU time of an upload. A key that is not found stays as it is.
 */
export const holdKeyObjects = (client: Client): void => {
  const { _protocol: protocol } = client as Internals
  for (const end of [protocol?._cipher, protocol?._decipher]) {
    for (const field of fields) {
      const key = end?.[field]
      if (Buffer.isBuffer(key) && key.length > 0) end![field] = createSecretKey(key)
    }
  }
}
