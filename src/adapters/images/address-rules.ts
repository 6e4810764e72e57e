import { BlockList, isIP } from 'node:net'

type Range = readonly [network: string, prefix: number]

/**
 * Addresses that no firmware server has and that hand out secrets in clouds: link-local, and the metadata services
 * outside it. IPv4 addresses inside IPv6 ones are found too.
 */
const never = blockList([
  ['169.254.0.0', 16],
  ['fe80::', 10],
  ['fd00:ec2::254', 128],
  ['100.100.100.200', 32],
  ['168.63.129.16', 32],
  ['192.0.0.192', 32],
  // 169.254.0.0/16 as IPv4-compatible, NAT64 and 6to4 addresses.
  ['::a9fe:0', 112],
  ['64:ff9b::a9fe:0', 112],
  ['2002:a9fe::', 32],
])

/** Loopback and private networks. */
const lan = blockList([
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
  ['::', 127],
  ['fc00::', 7],
])

/** Whether images may be fetched from this IP address; false for what is no IP address. */
export function isAllowedAddress(address: string, allowPrivate: boolean): boolean {
  const [bare = ''] = address.split('%')
  const family = isIP(bare)
  if (family === 0) return false
  const type = family === 6 ? 'ipv6' : 'ipv4'
  return !never.check(bare, type) && (allowPrivate || !lan.check(bare, type))
}

function blockList(ranges: readonly Range[]): BlockList {
  const list = new BlockList()
  for (const [network, prefix] of ranges) {
    list.addSubnet(network, prefix, network.includes(':') ? 'ipv6' : 'ipv4')
  }
  return list
}
