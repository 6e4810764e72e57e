/** Upstream: from the client to the target. Downstream: back. */
export type Direction = 'upstream' | 'downstream'

/** What a fault proxy does to the bytes of one direction. Several at once add up. */
export type Toxic =
  /** Forwards nothing, not even the end; what has come by then goes on when this is off. */
  | { kind: 'stall' }
  /** Swallows every byte, so that the sender believes it sent. The end comes through when this is off. */
  | { kind: 'drop' }
  /** The receiver sees the end of the stream; what the sender still sends is swallowed. */
  | { kind: 'halfClose' }
  /** The receiver gets an RST; the sender hears nothing more, unless the other direction is reset too. */
  | { kind: 'reset' }
  /** Both sides see the end of the stream. */
  | { kind: 'cut' }
  /** Pieces of at most so many bytes, each by a write of its own. */
  | { kind: 'slice'; bytes: number }
  /** Everything comes later, by `ms` give or take `jitterMs`, and in order. */
  | { kind: 'delay'; ms: number; jitterMs?: number }
  | { kind: 'bandwidth'; bytesPerSecond: number }
  /** Bytes as ever, but the end of the stream comes later. */
  | { kind: 'slowClose'; ms: number }

/** Which bytes a toxic is for. Without any: all, both ways, at once. */
export interface Reach {
  direction?: Direction
  /** Only connections that are there when it is switched on, or only those that come later. */
  only?: 'living' | 'new'
  /** In each direction of each connection it lets so many more bytes pass first. */
  afterBytes?: number
}
