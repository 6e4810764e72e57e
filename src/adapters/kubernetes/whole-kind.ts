import type { AnyResource, Kind } from '../../api/resources.ts'
import { compareVersions, type StoreEvent } from '../../ports/resource-store.ts'

/**
 * Makes the streams of one kind in several places one: where one of them is listed, what is known of the others makes the
 * list whole. Undefined for what is not to be told, as before all have been listed, and bookmarks as long as one place
 * is not heard of. Of one place nothing is kept.
 */
export function createWholeKind(
  kind: Kind,
  places: number,
): (event: StoreEvent, place: string) => StoreEvent | undefined {
  if (places === 1) return (event) => event
  const known = new Map<string, Map<string, AnyResource>>()
  /** How far each stream has come. */
  const versions = new Map<string, string>()
  const silent = new Set<string>()
  const isWhole = (): boolean => known.size === places

  const afterList = (event: StoreEvent & { type: 'Listed' }, place: string): StoreEvent | undefined => {
    known.set(place, new Map(event.objects.map((object) => [object.metadata.name, object])))
    versions.set(place, event.resourceVersion)
    if (!isWhole()) return undefined
    return { ...event, objects: [...known.values()].flatMap((objects) => [...objects.values()]) }
  }
  const afterBookmark = (resourceVersion: string, place: string): StoreEvent | undefined => {
    versions.set(place, resourceVersion)
    silent.delete(place)
    const oldest = [...versions.values()].toSorted(compareVersions)[0]!
    return isWhole() && silent.size === 0 ? { type: 'Bookmark', kind, resourceVersion: oldest } : undefined
  }

  return (event, place) => {
    if (event.type === 'Interrupted') {
      silent.add(place)
      return event
    }
    if (event.type === 'Listed') return afterList(event, place)
    if (event.type === 'Bookmark') return afterBookmark(event.resourceVersion, place)
    const { name } = event.object.metadata
    if (event.type === 'Deleted') known.get(place)?.delete(name)
    else known.get(place)?.set(name, event.object)
    return isWhole() ? event : undefined
  }
}
