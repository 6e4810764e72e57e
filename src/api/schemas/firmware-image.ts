import { Type } from 'typebox'
import { closed, conditions, integer, observedGeneration, reference, sha256, text } from './common.ts'

const boards = (description: string) =>
  Type.Array(Type.String({ minLength: 1, maxLength: 255, description: 'A board name.' }), {
    maxItems: 512,
    description,
    'x-kubernetes-list-type': 'set',
  })

export const firmwareImage = {
  kind: 'FirmwareImage',
  plural: 'firmwareimages',
  shortNames: ['fwi'],
  description: 'One firmware file, for some boards.',
  columns: [
    { name: 'Build', jsonPath: '.spec.buildRef.name', type: 'string' },
    { name: 'Size', jsonPath: '.status.size', type: 'integer' },
    { name: 'Ready', jsonPath: '.status.conditions[?(@.type=="Ready")].status', type: 'string' },
    { name: 'Boards', jsonPath: '.status.boards', type: 'string', priority: 1 },
    { name: 'SHA256', jsonPath: '.status.sha256', type: 'string', priority: 1 },
    { name: 'Message', jsonPath: '.status.conditions[?(@.type=="Ready")].message', type: 'string', priority: 1 },
  ],
  rules: [
    {
      rule: 'has(self.source.path) != has(self.source.url)',
      message: 'exactly one of path and url is needed',
      fieldPath: '.source',
    },
    {
      rule: '!has(self.source.url) || has(self.sha256)',
      message: 'an image from a url needs its sha256',
      fieldPath: '.sha256',
    },
  ],
  spec: closed(
    {
      buildRef: reference({ description: 'The build that this file belongs to.' }),
      source: closed(
        {
          path: Type.Optional(
            Type.String({
              minLength: 1,
              maxLength: 1024,
              description: 'File beside the manifest, or under --images DIR; never outside either.',
            }),
          ),
          url: Type.Optional(
            Type.String({
              pattern: '^https?://',
              maxLength: 2048,
              description: 'Address to fetch the file from.',
            }),
          ),
        },
        { description: 'Where the file is.' },
      ),
      sha256: Type.Optional(sha256({ description: 'SHA-256 of the whole file; required with a url.' })),
      boards: Type.Optional(
        boards('Boards that may get this file: narrows what the image metadata says, or stands in for it.'),
      ),
    },
    { description: 'What the operator declares.' },
  ),
  status: closed(
    {
      observedGeneration,
      sha256: Type.Optional(sha256({ description: 'SHA-256 of the file.' })),
      size: Type.Optional(integer(0, 1e12, { description: 'Size of the file in bytes.' })),
      boards: Type.Optional(boards('Boards that may get this file.')),
      metadata: Type.Optional(
        closed(
          {
            distribution: Type.Optional(text(255, { description: 'Distribution.' })),
            version: Type.Optional(text(255, { description: 'Release version.' })),
            revision: Type.Optional(text(255, { description: 'Release revision, as the device reports it after boot.' })),
            target: Type.Optional(text(255, { description: 'Target and subtarget.' })),
            board: Type.Optional(text(255, { description: 'Profile the image was built for.' })),
            compatVersion: Type.Optional(text(63, { description: 'Compatibility version of the image.' })),
          },
          { description: "What the image's own metadata says." },
        ),
      ),
      conditions,
    },
    { description: 'What the controller found.' },
  ),
} as const
