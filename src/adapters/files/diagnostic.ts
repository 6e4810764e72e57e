import type { ProblemReason } from '../../api/problem.ts'
import { visible } from './visible.ts'

/** Where something starts in a file; both count from 1. */
export interface Place {
  line: number
  column: number
}

/** What a place should hold and what it holds, as far as that can be told apart from the message. */
export interface Explanation {
  /** Last line of a value that takes more than one. */
  endLine?: number | undefined
  expected?: string | undefined
  found?: string | undefined
  /** The known name or value that is nearest to what was written. */
  suggestion?: string | undefined
}

/** One problem of one file. All of its text may be printed as it is. */
export interface Diagnostic extends Place, Explanation {
  /** Relative to the directory, with invisible characters escaped. */
  file: string
  severity: 'error' | 'warning'
  reason: ProblemReason
  /** The field, as `spec.addresses[0]`; empty for the file or document as a whole. */
  path: string
  message: string
}

/** A diagnostic before its file is known: the same content is parsed once, whatever its name. */
export type Finding = Omit<Diagnostic, 'file'>

/** Beyond this a value was quoted that helps nobody. */
const maxMessageLength = 1000

export const finding = (
  reason: ProblemReason,
  message: string,
  at: Partial<Place> & Explanation & { path?: string } = {},
): Finding => ({
  line: at.line ?? 1,
  column: at.column ?? 1,
  ...(at.endLine === undefined ? {} : { endLine: at.endLine }),
  severity: 'error',
  reason,
  path: visible(at.path ?? ''),
  message: bounded(message),
  ...(at.expected === undefined ? {} : { expected: bounded(at.expected) }),
  ...(at.found === undefined ? {} : { found: bounded(at.found) }),
  ...(at.suggestion === undefined ? {} : { suggestion: bounded(at.suggestion) }),
})

const bounded = (text: string): string => visible(text.slice(0, maxMessageLength))

export const inFile = (file: string, problem: Finding): Diagnostic => ({ file: visible(file), ...problem })

/** `file:line:column: path: message` */
export const formatDiagnostic = ({ file, line, column, severity, path, message }: Diagnostic): string =>
  `${file}:${line}:${column}: ${severity === 'warning' ? 'warning: ' : ''}${path === '' ? '' : `${path}: `}${message}`

export const byPlace = (a: Diagnostic, b: Diagnostic): number =>
  (a.file < b.file ? -1 : a.file > b.file ? 1 : 0) || a.line - b.line || a.column - b.column
