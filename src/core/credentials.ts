type Entries = Readonly<Record<string, string>>

/** An editor or `echo` ends a line; no login and no password does. Keys are text of lines and stay as they are. */
export function trimmedCredentials(entries: Entries): Entries {
  const copy = Object.assign(Object.create(null) as Record<string, string>, entries)
  for (const name of ['username', 'password', 'passphrase']) {
    const text = copy[name]
    if (text !== undefined) copy[name] = text.replace(/\r?\n$/, '')
  }
  return copy
}
