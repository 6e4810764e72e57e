import { Type } from 'typebox'
import { closed, conditions, observedGeneration, oneOf, text, upgradeOptions } from './common.ts'

export const category = {
  kind: 'Category',
  plural: 'categories',
  shortNames: ['cat'],
  description: 'Firmware of one purpose, such as indoor access points.',
  columns: [
    { name: 'Upgrader', jsonPath: '.spec.upgrader', type: 'string' },
    { name: 'Ready', jsonPath: '.status.conditions[?(@.type=="Ready")].status', type: 'string' },
    { name: 'Message', jsonPath: '.status.conditions[?(@.type=="Ready")].message', type: 'string', priority: 1 },
  ],
  rules: [],
  spec: closed(
    {
      description: Type.Optional(text(1024, { description: 'What this firmware is for.' })),
      upgrader: Type.String({
        default: 'openwrt',
        pattern: '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$',
        maxLength: 63,
        description: 'Name of the upgrader that knows these devices.',
      }),
      upgradeOptions: Type.Optional(
        upgradeOptions({ description: 'Options of every upgrade in this category, below those of the policy.' }),
      ),
      hostKeyPolicy: oneOf(['AcceptNew', 'Strict'], {
        default: 'AcceptNew',
        description:
          'AcceptNew pins the host keys seen first; Strict talks only to devices that list theirs in spec.hostKeys.',
      }),
    },
    { default: {}, description: 'What the operator declares.' },
  ),
  status: closed({ observedGeneration, conditions }, { description: 'What the controller found.' }),
} as const
