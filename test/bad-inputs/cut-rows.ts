/** A policy that was about to run, cut anywhere: a copy that ran out of disk. */
import type { Row } from './row.ts'

const cut = (bytes: number, problem: string): Row => ({
  id: 'B1',
  what: `a policy of which ${bytes} bytes are left`,
  spoil: async (good) => {
    await good.release()
    await good.write('policy.yaml', (await good.read('policy.yaml')).slice(0, bytes))
  },
  says: [`policy.yaml:${problem}`],
  keeps: ['UpgradePolicy/subject'],
})

export const cutRows: readonly Row[] = [
  cut(0, '1:1: is empty; remove it, or restore what it held'),
  cut(6, '1:1: is cut short'),
  cut(18, '1:1: is cut short'),
  cut(24, '1:13: apiVersion: must be reflash.dev/v1alpha1, found "reflash.dev/"'),
  cut(36, '2:1: a character is missing here: a colon, a comma, a closing quote or a bracket'),
  cut(75, '3:23: the indentation does not fit the lines above; is a } or ] missing there?'),
  cut(165, '7:12: the indentation does not fit the lines above; is a } or ] missing there?'),
]
