/** A build of SQLite that commits with synchronous=NORMAL, and says FULL when it is asked: for `node --import`. */
import { DatabaseSync } from 'node:sqlite'

const { exec, prepare } = Object.getOwnPropertyDescriptors(DatabaseSync.prototype)
DatabaseSync.prototype.exec = function (sql) {
  exec.value!.call(this, sql.replaceAll('synchronous=FULL', 'synchronous=NORMAL'))
}
DatabaseSync.prototype.prepare = function (sql) {
  return prepare.value!.call(this, sql === 'PRAGMA synchronous' ? 'SELECT 2 AS synchronous' : sql)
}
