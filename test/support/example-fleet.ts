/** A whole small fleet, as the documentation shows it. */
export const exampleFleet = `apiVersion: reflash.dev/v1alpha1
kind: Category
metadata: {name: indoor-ap}
spec: {description: Indoor access points}
---
apiVersion: reflash.dev/v1alpha1
kind: Build
metadata: {name: indoor-ap-24.10.8}
spec: {categoryRef: {name: indoor-ap}, version: "24.10.8", osIdentifier: "OpenWrt 24.10.8 r29233-443ec4032a"}
---
apiVersion: reflash.dev/v1alpha1
kind: FirmwareImage
metadata: {name: archer-c7-v5-24.10.8}
spec: {buildRef: {name: indoor-ap-24.10.8}, source: {path: images/archer-c7-v5-24.10.8.bin}}
---
apiVersion: reflash.dev/v1alpha1
kind: Device
metadata: {name: ap-17, labels: {site: lobby}}
spec: {categoryRef: {name: indoor-ap}, addresses: [192.0.2.17], port: 22, credentialsRef: {name: routers}}
---
apiVersion: reflash.dev/v1alpha1
kind: UpgradePolicy
metadata: {name: indoor-ap}
spec: {categoryRef: {name: indoor-ap}, target: {buildRef: {name: indoor-ap-24.10.8}}, limits: {maxConcurrent: 10, startsPerMinute: 6}}
---
apiVersion: v1
kind: Secret
metadata: {name: routers}
stringData: {username: root, password: correct-horse}
`

/** The same, with a Device `ap-17`, `ap-18`… for each of these addresses in place of its one. */
export const exampleFleetOf = (places: readonly { address: string; port: number }[]): string =>
  exampleFleet
    .split('---\n')
    .flatMap((document) =>
      document.includes('kind: Device\n')
        ? places.map(({ address, port }, index) =>
            document
              .replace('name: ap-17', `name: ap-${17 + index}`)
              .replace('192.0.2.17', address)
              .replace('port: 22', `port: ${port}`),
          )
        : [document],
    )
    .join('---\n')

/** One manifest as YAML text, with the spec in flow style. */
export const manifestText = (kind: string, name: string, spec: string): string =>
  `apiVersion: reflash.dev/v1alpha1\nkind: ${kind}\nmetadata: {name: ${name}}\nspec: ${spec}\n`

export const deviceText = (name: string, address = '192.0.2.1'): string =>
  manifestText(
    'Device',
    name,
    `{categoryRef: {name: ap}, addresses: [${address}], credentialsRef: {name: routers}}`,
  )
