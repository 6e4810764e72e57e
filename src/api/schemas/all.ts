/** Every kind, in the order in which they refer to each other. Read at build time only: `generate.ts`. */
import { build } from './build.ts'
import { category } from './category.ts'
import { device } from './device.ts'
import { firmwareImage } from './firmware-image.ts'
import { upgradeOperation } from './upgrade-operation.ts'
import { upgradePolicy } from './upgrade-policy.ts'

export const kindSchemas = [category, build, firmwareImage, device, upgradePolicy, upgradeOperation] as const
