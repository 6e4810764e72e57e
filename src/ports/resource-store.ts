import type { AnyResource, Key, Kind, KindMap, Manifest } from '../api/resources.ts'
import type { ReflashError } from '../core/errors.ts'

export type StoreEvent =
  /** All objects of a kind, and the version at which that was so: what else is known of that kind is gone. */
  | { type: 'Listed'; kind: Kind; objects: AnyResource[]; resourceVersion: string }
  | { type: 'Added' | 'Modified' | 'Deleted'; object: AnyResource }
  /** Everything up to this version has been delivered: of one kind or, where none is named, of all. */
  | { type: 'Bookmark'; kind?: Kind; resourceVersion: string }
  /** What happens to some of this kind is not heard of for now. The next `Bookmark` of the kind says that it is again. */
  | { type: 'Interrupted'; kind: Kind; error: ReflashError }

/**
 * Desired and observed state, by kind, namespace and name. Of the desired state only operations can be made through it. One contract for memory, SQLite and Kubernetes;
 * `test/contract/resource-store.ts` is the contract as tests.
 *
 * A returned object belongs to the caller: changing it changes nothing in the store, nor the other way round.
 * An object's status is `{}` when nobody has written one.
 */
export interface ResourceStore {
  get<K extends Kind>(kind: K, key: Key): Promise<KindMap[K] | undefined>

  /** All objects of a kind, and the version of the store at which that was so. Ordered by namespace, then name. */
  list<K extends Kind>(
    kind: K,
    options?: { namespace?: string },
  ): Promise<{ items: KindMap[K][]; resourceVersion: string }>

  /**
   * The objects of the given kinds as one `Listed` a kind, then every later change once, in the order of a kind's
   * versions; between kinds there is no order. Where changes may have been missed the kind is `Listed` again. Ends when
   * the signal is aborted. @throws ReflashError for what waiting does not cure.
   */
  follow(options: { kinds: readonly Kind[]; signal: AbortSignal }): AsyncIterable<StoreEvent>

  /** Adds a new object with empty status, generation 1 and a new uid. @throws ReflashError `AlreadyExists`. */
  create<K extends Kind>(manifest: Manifest<K>): Promise<KindMap[K]>

  /**
   * Replaces the finalizers alone, provided that `resourceVersion` is still the stored one. Removing the last one of an
   * object that is being deleted removes it. The same finalizers write nothing.
   * @throws ReflashError `Conflict` when it has changed meanwhile, `NotFound` when it is gone, `Invalid` when one is put on
   * an object that is being deleted.
   */
  setFinalizers<R extends AnyResource>(object: R, finalizers: readonly string[]): Promise<R>

  /**
   * Replaces the status alone, under the same condition and with the same errors. An identical status
   * writes nothing. The returned promise resolves only when the write would survive a power cut.
   */
  saveStatus<R extends AnyResource>(object: R): Promise<R>

  /**
   * Removes an object; with finalizers it is only marked with `deletionTimestamp` and goes with the last of them.
   * Deleting what is gone or going does nothing. @throws ReflashError `Conflict` when `resourceVersion` is given and old.
   */
  delete(kind: Kind, key: Key, options?: { resourceVersion?: string }): Promise<void>
}

/** A store whose declared state is written by this process too, as that of a directory is. */
export interface DeclaredStore extends ResourceStore {
  /**
   * Makes labels, annotations and spec as the manifest says, creating the object if need be. Finalizers and status are
   * left as they are (a new object gets the manifest's finalizers). An identical apply writes nothing and returns the
   * same resourceVersion; a changed spec adds 1 to generation.
   */
  apply<K extends Kind>(manifest: Manifest<K>): Promise<KindMap[K]>
}

/** Orders two resourceVersions of one kind in one store: decimal numbers without leading zeros, of any length. */
export const compareVersions = (a: string, b: string): number =>
  a.length !== b.length ? a.length - b.length : a < b ? -1 : a > b ? 1 : 0
