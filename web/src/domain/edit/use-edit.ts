/**
 * Saves what a form holds: the one way for every form that changes something with a version. Owns what happens when somebody
 * else saved the same thing meanwhile (the server answers 412): the newest version is read, fields that were not touched
 * take its values, and the change is sent again. Where both changed the same field, nothing is sent until the person
 * decides (`EditTrouble`). What was typed stays in any case.
 */
import { useQueryClient } from "@tanstack/react-query";
import { type BaseSyntheticEvent, useRef, useState } from "react";
import {
  type Control,
  type DefaultValues,
  type FieldValues,
  get,
  type Path,
  type PathValue,
  type UseFormReturn,
} from "react-hook-form";
import { ApiError, http, take } from "#/api/client";
import { meQuery } from "#/api/session";
import { placeErrors } from "#/domain/form-errors";
import { useTranslation } from "#/i18n";
import { type Fields, type Group, groupsOf, merge, same } from "./merge";

/** Somebody who saves all the time must not keep a form sending for ever. */
const TRIES_MOST = 3;
/** Between a change and its entry in the audit log. */
const SAME_MOMENT_MS = 5_000;

export interface Versioned {
  version: number;
  id?: string;
  updated_at?: string;
}

interface Options<T extends Versioned, V extends FieldValues, O> {
  form: UseFormReturn<V, unknown, O>;
  /** What the form began with; nothing for a new thing. */
  of: T | undefined;
  /** Reads the newest version. */
  read: (of: T) => Promise<T>;
  toForm: (of: T) => V;
  fields: Fields<T, V>;
  /** Sends it. `held` is the version that the change is based on, and `touched` says whether a field differs from it. */
  send: (values: O, held: T | undefined, touched: (field: keyof V & string) => boolean) => Promise<T>;
  done: (saved: T) => unknown;
  /** The fields that can show the server's reasons. */
  places: readonly Path<V>[];
  onBusy?: (busy: boolean) => void;
}

export interface Conflict<T, V> {
  groups: Group<T, V>[];
  theirs: V;
  /** Who changed it, where that is known. */
  who?: { name: string } | "you" | "scan";
  at?: string;
}

export interface Edit<T, V extends FieldValues> {
  submit: (event?: BaseSyntheticEvent) => Promise<void>;
  error: unknown;
  conflict: Conflict<T, V> | null;
  /** The next submission overwrites the other version. */
  decide: () => void;
  useOther: () => void;
  values: () => V;
  control: Control<V>;
}

export function useEdit<T extends Versioned, V extends FieldValues, O = V>(
  options: Options<T, V, O>,
): Edit<T, V> {
  const { form, of, read, toForm, fields, send, done, places, onBusy } = options;
  const { t } = useTranslation();
  const who = useWho();
  const [error, setError] = useState<unknown>(null);
  const [conflict, setConflict] = useState<Conflict<T, V> | null>(null);
  const held = useRef(of);
  const decided = useRef(false);
  const mine = () => form.getValues();

  function put(paths: readonly string[], from: V): void {
    for (const path of paths as Path<V>[])
      form.setValue(path, get(from, path) as PathValue<V, Path<V>>, { shouldDirty: true });
  }

  /** Goes over to the newest version. Answers whether the change can be sent again as it is. */
  async function rebase(base: T): Promise<boolean> {
    const newest = await read(base);
    const theirs = { of: newest, values: toForm(newest) };
    const groups = groupsOf(fields);
    const typed = structuredClone(mine());
    const { kept, conflicts } = merge(groups, { of: base, values: toForm(base) }, typed, theirs);
    held.current = newest;
    form.reset(theirs.values as DefaultValues<V>);
    put(kept, typed);
    if (conflicts.length === 0) return true;
    setConflict({ groups: conflicts, theirs: theirs.values, at: newest.updated_at, who: await who(newest) });
    return false;
  }

  async function run(values: O, tries: number): Promise<void> {
    const base = held.current;
    const begin = base && toForm(base);
    try {
      const touched = (field: keyof V & string) => !begin || !same([field], mine(), begin);
      const saved = await send(values, base, touched);
      setConflict(null);
      await done(saved);
    } catch (problem) {
      if (!(base && problem instanceof ApiError && problem.status === 412))
        return setError(placeErrors(problem, places, form.setError));
      const again = await rebase(base).catch((failed: unknown) => {
        setError(failed);
        return false;
      });
      if (!again) return;
      if (tries >= TRIES_MOST) return setError(new ApiError(412, { detail: t("edit.again") }));
      await form.handleSubmit((next) => run(next, tries + 1))();
    }
  }

  return {
    error,
    conflict,
    values: mine,
    control: form.control as unknown as Control<V>,
    decide: () => {
      decided.current = true;
    },
    useOther: () => {
      if (!conflict) return;
      const paths = conflict.groups.flatMap((group) => group.paths);
      put(paths, conflict.theirs);
      setConflict(null);
      setError(null);
      form.setFocus(paths[0] as Path<V>);
    },
    submit: async (event) => {
      // The person is to see what differs first: a double click on the button that saves must not overwrite it.
      if (conflict && !decided.current) {
        event?.preventDefault();
        setConflict({ ...conflict });
        return;
      }
      decided.current = false;
      setError(null);
      onBusy?.(true);
      try {
        await form.handleSubmit((values) => run(values, 1))(event);
      } finally {
        onBusy?.(false);
      }
    },
  };
}

/** Who changed something last, as far as the audit log tells it to this person. */
function useWho(): (of: Versioned) => Promise<Conflict<unknown, unknown>["who"]> {
  const client = useQueryClient();
  return async ({ id, updated_at }) => {
    const me = client.getQueryData(meQuery.queryKey);
    if (!id || !updated_at || !me?.permissions.includes("audit:read")) return undefined;
    try {
      const query = { entity_id: id, limit: 1 };
      const [last] = (await take(http.GET("/api/v1/audit-log", { params: { query } }))).items;
      if (!last || Math.abs(Date.parse(last.at) - Date.parse(updated_at)) > SAME_MOMENT_MS) return undefined;
      if (last.actor.kind === "user") return last.actor.id === me.user.id ? "you" : { name: last.actor.name };
      return last.actor.name === "scanner" ? "scan" : undefined;
    } catch {
      return undefined;
    }
  };
}
