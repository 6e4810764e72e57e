import { Type } from 'typebox'
import { closed, conditions, integer, observedGeneration, oneOf, reference, text } from './common.ts'

export const build = {
  kind: 'Build',
  plural: 'builds',
  shortNames: ['fwb'],
  description: "One version of a category's firmware.",
  columns: [
    { name: 'Category', jsonPath: '.spec.categoryRef.name', type: 'string' },
    { name: 'Version', jsonPath: '.spec.version', type: 'string' },
    { name: 'Lifecycle', jsonPath: '.spec.lifecycle', type: 'string' },
    { name: 'Images', jsonPath: '.status.images', type: 'integer' },
    { name: 'Ready', jsonPath: '.status.conditions[?(@.type=="Ready")].status', type: 'string' },
    { name: 'OS', jsonPath: '.status.osIdentifier', type: 'string', priority: 1 },
    { name: 'Message', jsonPath: '.status.conditions[?(@.type=="Ready")].message', type: 'string', priority: 1 },
  ],
  rules: [
    {
      rule: "self.lifecycle != 'Recalled' || (has(self.reason) && size(self.reason) > 0)",
      message: 'a recalled build needs a reason',
      fieldPath: '.reason',
    },
  ],
  spec: closed(
    {
      categoryRef: reference({ description: 'The category whose firmware this is.' }),
      version: Type.String({
        minLength: 1,
        maxLength: 63,
        description: 'Version as people call it. A string: quote it, or YAML reads 24.10 as 24.1.',
      }),
      osIdentifier: Type.Optional(
        Type.String({
          minLength: 1,
          maxLength: 255,
          description:
            'What a device that runs this build reports, such as "OpenWrt 24.10.8 r29233-443ec4032a". Learned from image metadata when absent.',
        }),
      ),
      changelog: Type.Optional(text(65536, { description: 'What changed, for people.' })),
      lifecycle: oneOf(['Active', 'Deprecated', 'Recalled'], {
        default: 'Active',
        description: 'Recalled stops every upgrade to this build at once; Deprecated only warns.',
      }),
      reason: Type.Optional(text(1024, { description: 'Why it is deprecated or recalled.' })),
      order: Type.Optional(
        integer(-1_000_000_000, 1_000_000_000, {
          description: 'Place in the order of versions; it wins over the version where both builds have one.',
        }),
      ),
      upgradeFrom: Type.Optional(
        closed(
          {
            minVersion: Type.String({
              minLength: 1,
              maxLength: 63,
              description: 'The oldest version that may be upgraded to this build directly.',
            }),
          },
          { description: 'What may be upgraded to this build.' },
        ),
      ),
    },
    { description: 'What the operator declares.' },
  ),
  status: closed(
    {
      observedGeneration,
      osIdentifier: Type.Optional(text(255, { description: 'The declared or learned OS identifier.' })),
      revision: Type.Optional(text(255, { description: 'Release revision from image metadata.' })),
      images: Type.Optional(integer(0, 1_000_000, { description: 'Images that are Ready.' })),
      conditions,
    },
    { description: 'What the controller found.' },
  ),
} as const
