/**
 * Deleting with an undo. For ten seconds the thing is only hidden here; then the DELETE is sent. Owns which ids are
 * hidden; every list leaves them out. Leaving the page sends what is pending.
 */
import { type QueryKey, useQueryClient } from "@tanstack/react-query";
import { useSyncExternalStore } from "react";
import { ApiError, deleteOnLeave } from "#/api/client";
import { useTranslation } from "#/i18n";
import { deferred, toast } from "#/ui/toast";

let hidden: ReadonlySet<string> = new Set();
const listeners = new Set<() => void>();

function setHidden(ids: readonly string[], hide: boolean): void {
  const next = new Set(hidden);
  for (const id of ids) {
    if (hide) next.add(id);
    else next.delete(id);
  }
  hidden = next;
  for (const listener of listeners) listener();
}

export function useHidden(): ReadonlySet<string> {
  return useSyncExternalStore(
    (changed) => {
      listeners.add(changed);
      return () => listeners.delete(changed);
    },
    () => hidden,
  );
}

interface Removal {
  ids: readonly string[];
  text: string;
  /** Folder of the API, such as "assets". */
  resource: string;
  send: (id: string) => Promise<unknown>;
  invalidate: QueryKey[];
  /** What else is taken back with it. */
  undone?: () => void;
}

const AT_ONCE = 4;

/** Runs `work` over all items, a few at a time; answers the errors. */
export async function inTurns<T>(
  items: readonly T[],
  work: (item: T) => Promise<unknown>,
): Promise<unknown[]> {
  const errors: unknown[] = [];
  const queue = [...items];
  async function lane(): Promise<void> {
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) {
      try {
        await work(item);
      } catch (error) {
        errors.push(error);
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, items.length) }, lane));
  return errors;
}

export function useRemoval(): (removal: Removal) => void {
  const remove = useManyRemoval();
  return ({ ids, text, resource, send, invalidate, undone }) =>
    remove({
      ids,
      text,
      resource,
      invalidate,
      undone,
      leave: () => {
        for (const id of ids) deleteOnLeave(`/api/v1/${resource}/${id}`);
      },
      send: async () => {
        // Gone already is what was wanted.
        const errors = await inTurns(ids, (id) =>
          send(id).catch((error) => {
            if (!(error instanceof ApiError && error.status === 404)) throw error;
          }),
        );
        if (errors[0]) throw errors[0];
      },
    });
}

interface ManyRemoval extends Omit<Removal, "send"> {
  /** Removes them all. */
  send: () => Promise<unknown>;
  /** The same while the page is left. */
  leave: () => void;
}

/** For what one request removes. `ids` are those to hide until then. */
export function useManyRemoval(): (removal: ManyRemoval) => void {
  const client = useQueryClient();
  const { t } = useTranslation();
  return ({ ids, text, resource, send, leave, undone, invalidate }) => {
    setHidden(ids, true);
    deferred(text, t("common.undo"), {
      undo: () => {
        setHidden(ids, false);
        undone?.();
      },
      leave,
      commit: () => {
        void (async () => {
          try {
            await send();
          } catch (error) {
            toast(error instanceof Error ? error.message : t("error.unknown"), { tone: "error" });
          }
          // Whatever else of this resource is kept may name what is gone (a link's other end) and would ask for it when
          // shown again: what is off the screen is forgotten, what is on it is read anew, what is gone is not asked for.
          const gone = new Set<unknown>(ids);
          const touched = [[resource], ...invalidate];
          for (const queryKey of touched) client.removeQueries({ queryKey, type: "inactive" });
          await Promise.all(
            touched.map((queryKey) =>
              client.invalidateQueries({
                queryKey,
                predicate: (query) => !query.queryKey.some((part) => gone.has(part)),
              }),
            ),
          );
          setHidden(ids, false);
        })();
      },
    });
  };
}
