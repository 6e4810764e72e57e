import { cpus, release, totalmem, type } from 'node:os'

/** What figures were measured on, in the words of a heading. */
export const machine = (): string => {
  const cores = cpus()
  const gib = (totalmem() / 2 ** 30).toFixed(1)
  return [
    `${cores[0]?.model.trim() ?? 'unknown processor'}, ${cores.length} cores, ${gib} GiB`,
    `${type()} ${release()}`,
    `Node ${process.version}`,
  ].join('; ')
}
