import type { Manifest } from '../../src/api/resources.ts'

/** The smallest manifests that an API server would take, for tests that care about the store and not about the fleet. */
export const category = (
  name: string,
  fields: { description?: string; namespace?: string } & Omit<
    Manifest['metadata'],
    'name' | 'namespace'
  > = {},
): Manifest<'Category'> => {
  const { description = 'first', namespace = 'default', ...metadata } = fields
  return {
    apiVersion: 'reflash.dev/v1alpha1',
    kind: 'Category',
    metadata: { name, namespace, ...metadata },
    spec: { description, upgrader: 'openwrt', hostKeyPolicy: 'AcceptNew' },
  }
}

export const build = (name: string): Manifest<'Build'> => ({
  apiVersion: 'reflash.dev/v1alpha1',
  kind: 'Build',
  metadata: { name, namespace: 'default' },
  spec: { categoryRef: { name: 'ap' }, version: '24.10.8', lifecycle: 'Active' },
})
