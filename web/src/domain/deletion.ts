import type { Query, QueryClient, QueryKey } from "@tanstack/react-query";

/** What is being deleted here, and what of it is still on the screen. */
const leaving = new Set<unknown>();

/** The default of every query: what is being deleted is not asked for, even when the server tells that it has changed. */
export const mayBeAsked = ({ queryKey }: { queryKey: QueryKey }) =>
  !queryKey.some((part) => leaving.has(part));

interface Deletion {
  id: string;
  /** The key of what is read of it. */
  one: QueryKey;
  /** What is read again, because it names it. */
  lists: QueryKey;
  work: () => Promise<unknown>;
  /** Takes it off the screen. */
  onDeleted: () => void;
}

/** Deletes one thing for good. */
export async function deleteForGood(client: QueryClient, deletion: Deletion): Promise<void> {
  const { id, one, lists, work, onDeleted } = deletion;
  leaving.add(id);
  try {
    await client.cancelQueries({ queryKey: one });
    await work();
  } catch (error) {
    leaving.delete(id);
    // What was told meanwhile was not read, and may be why it was refused.
    void client.invalidateQueries({ queryKey: one });
    throw error;
  }
  onDeleted();
  whenUnseen(client, one, () => {
    client.removeQueries({ queryKey: one });
    leaving.delete(id);
  });
  await client.invalidateQueries({ queryKey: lists });
}

/** The page leaves in its own time, and a query that is removed under its eyes is asked anew. */
function whenUnseen(client: QueryClient, queryKey: QueryKey, then: () => void): void {
  const cache = client.getQueryCache();
  const seen = (query: Query | undefined) => (query?.getObserversCount() ?? 0) > 0;
  if (!seen(cache.find({ queryKey }))) {
    then();
    return;
  }
  const stop = cache.subscribe((event) => {
    if (event.type !== "observerRemoved" || seen(cache.find({ queryKey }))) return;
    stop();
    then();
  });
}
