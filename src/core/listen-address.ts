export interface ListenAddress {
  /** A name or an IP address, without brackets. */
  host: string
  /** 0: any free one. */
  port: number
}

const addressAndPort = /^(?:\[(?<six>[0-9A-Fa-f:.]+)\]|(?<host>[A-Za-z0-9.-]+)):(?<port>\d{1,5})$/

/** Reads `ADDR:PORT`, `[ADDR]:PORT` for IPv6; undefined for anything else. */
export function parseListen(text: string): ListenAddress | undefined {
  const { six, host, port } = addressAndPort.exec(text)?.groups ?? {}
  const name = six ?? host
  return name === undefined || Number(port) > 65_535 ? undefined : { host: name, port: Number(port) }
}

/** Whether only this machine can connect. */
export const isLoopback = (host: string): boolean =>
  host.toLowerCase() === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host)

/** As it stands in a URL. */
export const hostOf = ({ host }: ListenAddress): string => (host.includes(':') ? `[${host}]` : host)
