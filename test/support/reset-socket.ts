import type { Socket } from 'node:net'

/** Closes it at once with an RST, as far as it is in a state to send one. */
export const resetSocket = (socket: Socket): void => {
  // Node loses a socket that is reset before its end is sent, and cannot reset one without a connection.
  const isEnding = socket.writableEnded && !socket.writableFinished
  if (socket.pending || isEnding) socket.destroy()
  else socket.resetAndDestroy()
}
