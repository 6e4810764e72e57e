interface Addressed {
  metadata: { namespace: string }
  spec: { port: number }
}

/** Where a device answers: two Devices with the same one are one router, or one of them is wrong. */
export const endpoint = ({ metadata, spec }: Addressed, address: string): string =>
  `${metadata.namespace}/${address.toLowerCase()}:${spec.port}`
