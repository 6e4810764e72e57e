import type { Algorithms } from 'ssh2'

/** What one side puts into its key exchange: RFC 4253 section 7.1, without what nobody negotiates on here. */
export interface Offer {
  kex: readonly string[]
  serverHostKey: readonly string[]
  cipher: readonly string[]
  hmac: readonly string[]
}

const chacha = 'chacha20-poly1305@openssh.com'

const modern: Offer = {
  kex: [
    'curve25519-sha256',
    'curve25519-sha256@libssh.org',
    'ecdh-sha2-nistp256',
    'ecdh-sha2-nistp384',
    'ecdh-sha2-nistp521',
    'diffie-hellman-group14-sha256',
    'diffie-hellman-group16-sha512',
    'diffie-hellman-group18-sha512',
    'diffie-hellman-group-exchange-sha256',
  ],
  // OpenWrt 17.01 to 19.07 sign with ssh-rsa only, so it stays, last.
  serverHostKey: [
    'ssh-ed25519',
    'ecdsa-sha2-nistp256',
    'ecdsa-sha2-nistp384',
    'ecdsa-sha2-nistp521',
    'rsa-sha2-512',
    'rsa-sha2-256',
    'ssh-rsa',
  ],
  cipher: [
    'aes128-gcm@openssh.com',
    'aes256-gcm@openssh.com',
    'aes128-ctr',
    'aes192-ctr',
    'aes256-ctr',
    chacha,
  ],
  hmac: ['hmac-sha2-256-etm@openssh.com', 'hmac-sha2-512-etm@openssh.com', 'hmac-sha2-256', 'hmac-sha2-512'],
}

/** What dropbear of OpenWrt 15.05 and older needs. */
const legacy: Offer = {
  kex: ['diffie-hellman-group14-sha1', 'diffie-hellman-group1-sha1'],
  serverHostKey: ['ssh-dss'],
  cipher: [],
  hmac: ['hmac-sha1'],
}

/** Key type, as it stands in a public-key line, of each signature algorithm. */
export const keyTypeOf = (algorithm: string): string =>
  algorithm.startsWith('rsa-sha2-') ? 'ssh-rsa' : algorithm

export interface OfferOptions {
  legacy: boolean
  /** Key types that come first, so that a device with several keys shows a pinned one. */
  pinnedTypes: readonly string[]
  /**
   * The device is known for strict key exchange: without that, ChaCha is open to prefix truncation (CVE-2023-48795).
   * With it, ChaCha comes first: a router without AES instructions takes an upload by it about twice as fast.
   */
  strict: boolean
}

export const ourOffer = (options: OfferOptions): Offer => {
  const withLegacy = (part: keyof Offer) =>
    options.legacy ? [...modern[part], ...legacy[part]] : modern[part]
  const pinned = (algorithm: string) => options.pinnedTypes.includes(keyTypeOf(algorithm))
  const hostKeys = withLegacy('serverHostKey')
  return {
    kex: withLegacy('kex'),
    serverHostKey: [...hostKeys.filter(pinned), ...hostKeys.filter((algorithm) => !pinned(algorithm))],
    cipher: options.strict ? [chacha, ...modern.cipher.filter((cipher) => cipher !== chacha)] : modern.cipher,
    hmac: withLegacy('hmac'),
  }
}

/** Whether the other side numbers its packets strictly, which is what makes ChaCha safe. */
export const isStrict = (theirs: Offer): boolean => theirs.kex.includes('kex-strict-s-v00@openssh.com')

/** Whether we were promised strict key exchange, counted on it, and do not get it. */
export const isDowngraded = (ours: Offer, theirs: Offer): boolean =>
  ours.cipher[0] === chacha && !isStrict(theirs)

/** The same as ssh2 takes it. The names above are ones that it knows; it checks them again. */
export const ssh2Algorithms = (offer: Offer): Algorithms =>
  ({ ...offer, compress: ['none'] }) as unknown as Algorithms

/** The first part in which the two sides have nothing in common, with what the other side offers there. */
export const findMismatch = (
  ours: Offer,
  theirs: Offer,
): { part: string; theirs: readonly string[] } | undefined => {
  const names = { kex: 'key exchange', serverHostKey: 'host key', cipher: 'cipher', hmac: 'MAC' } as const
  const parts = ['kex', 'serverHostKey', 'cipher', 'hmac'] as const
  const part = parts.find((each) => !ours[each].some((algorithm) => theirs[each].includes(algorithm)))
  return part && { part: names[part], theirs: theirs[part] }
}
