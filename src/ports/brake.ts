/** The operator's emergency stop, outside git: a file beside the state, or an annotation in a cluster. */
export interface Brake {
  /** What stops all starts now, in words; undefined when nothing does. Read anew on every call. */
  halted(): Promise<string | undefined>
}
