/** Marks objects that a directory declares: only these are removed when their file goes. */
export const sourceAnnotation = 'reflash.dev/source'
/** Why the file of an object, as it is now, is not the one in force. */
export const sourceErrorAnnotation = 'reflash.dev/source-error'
/** Folder of an image's manifest, relative to the directory. */
export const folderAnnotation = 'reflash.dev/folder'

/** What is wrong with the file that declares an object, if anything. */
export const sourceErrorOf = (object: {
  metadata: { annotations?: Record<string, string> }
}): string | undefined => object.metadata.annotations?.[sourceErrorAnnotation]
