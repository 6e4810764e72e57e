import { group, version, type KindInfo, type Schema } from './schema.ts'

/** The whole schema of a kind, as an API server wants it. */
export function objectSchema(info: KindInfo): Schema {
  const spec: Schema = { ...info.spec }
  if (info.rules.length > 0) spec['x-kubernetes-validations'] = info.rules
  return {
    type: 'object',
    description: info.description,
    // An empty list is not kept by a server, and so would differ from it for ever.
    ...(info.spec.default === undefined ? { required: ['spec'] } : {}),
    properties: {
      apiVersion: { type: 'string', description: 'reflash.dev/v1alpha1' },
      kind: { type: 'string', description: info.kind },
      metadata: { type: 'object' },
      spec,
      status: info.status,
    },
  }
}

/** The CustomResourceDefinition of a kind, as a plain object ready to be written as YAML. */
export function crdOf(info: KindInfo): Record<string, unknown> {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: {
      name: `${info.plural}.${group}`,
      labels: { 'app.kubernetes.io/name': 'reflash', 'app.kubernetes.io/part-of': 'reflash' },
    },
    spec: {
      group,
      scope: 'Namespaced',
      names: {
        kind: info.kind,
        listKind: `${info.kind}List`,
        plural: info.plural,
        singular: info.singular,
        shortNames: info.shortNames,
        categories: ['reflash'],
      },
      versions: [
        {
          name: version,
          served: true,
          storage: true,
          subresources: { status: {} },
          additionalPrinterColumns: [
            ...info.columns,
            { name: 'Age', jsonPath: '.metadata.creationTimestamp', type: 'date' },
          ],
          schema: { openAPIV3Schema: objectSchema(info) },
        },
      ],
    },
  }
}
