import { sign } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ApiServer } from './api-server.ts'

interface JwtOptions {
  namespace: string
  name: string
  uid: string
  audience: string
  /** From now on; below zero for a token that has expired. */
  lifetimeSeconds: number
}

/** A token of a service account as the API server signs them, for times that it would not sign. */
export async function serviceAccountJwt(
  { url, folder }: Pick<ApiServer, 'url' | 'folder'>,
  { namespace, name, uid, audience, lifetimeSeconds }: JwtOptions,
): Promise<string> {
  const seconds = Math.floor(Date.now() / 1000)
  const claims = {
    iss: url,
    sub: `system:serviceaccount:${namespace}:${name}`,
    aud: [audience],
    iat: seconds - 7200,
    nbf: seconds - 7200,
    exp: seconds + lifetimeSeconds,
    'kubernetes.io': { namespace, serviceaccount: { name, uid } },
  }
  const parts = [{ alg: 'ES256', typ: 'JWT' }, claims].map((part) =>
    Buffer.from(JSON.stringify(part)).toString('base64url'),
  )
  const key = await readFile(join(folder, 'service-accounts.key'), 'utf8')
  const signature = sign('sha256', Buffer.from(parts.join('.')), { key, dsaEncoding: 'ieee-p1363' })
  return [...parts, signature.toString('base64url')].join('.')
}
