/** For `node --import`: writes the address of every module that is loaded to the file of REFLASH_MODULES, at the end. */
import { writeFileSync } from 'node:fs'
import { registerHooks } from 'node:module'

const file = process.env['REFLASH_MODULES']!
const loaded = new Set<string>()
registerHooks({
  resolve(specifier, context, next) {
    const resolved = next(specifier, context)
    loaded.add(resolved.url)
    return resolved
  },
})
process.on('exit', () => writeFileSync(file, [...loaded].join('\n')))
