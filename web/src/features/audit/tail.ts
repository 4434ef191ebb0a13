/** The list as the log grows: while its top is in view new entries come by themselves, else it is only said that there are some. */
import { type InfiniteData, useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { useLive, useThrottled } from "#/api/hooks";
import type { AuditEntry, Page } from "#/api/schema";
import { type AuditFilter, auditPage, auditQuery, standingQuery } from "./queries";

/** A burst of entries is one read. */
const TOGETHER_MS = 1_000;

interface Tail {
  live: boolean;
  setLive: (on: boolean) => void;
  /** There are entries that are not shown. */
  fresh: boolean;
  /** For the list: whether its top is in view. */
  setAtTop: (at: boolean) => void;
  /** Shows them now. */
  catchUp: () => void;
}

export function useTail(filter: AuditFilter): Tail {
  const client = useQueryClient();
  const [live, setLive] = useState(true);
  const [fresh, setFresh] = useState(false);
  const atTop = useRef(true);
  const { queryKey } = auditQuery(filter);
  const shown = JSON.stringify(queryKey);
  // biome-ignore lint/correctness/useExhaustiveDependencies: another filter is another list, read anew
  useEffect(() => setFresh(false), [shown]);

  const asked = useRef(0);
  async function read(): Promise<void> {
    const mine = ++asked.current;
    const first = await auditPage(filter);
    // What was asked for later knows more.
    if (mine !== asked.current) return;
    // A next page under way would bring back what was there when it was asked for.
    if (client.getQueryData(queryKey)) await client.cancelQueries({ queryKey });
    // The first page takes the place of all: what was loaded further down is loaded again when it is scrolled to.
    client.setQueryData<InfiniteData<Page<AuditEntry>, string | undefined>>(queryKey, (old) =>
      old ? { pages: [first], pageParams: [undefined] } : old,
    );
    setFresh(false);
  }
  const refresh = useThrottled(() => {
    void client.invalidateQueries({ queryKey: standingQuery.queryKey });
    // What fails here is told by the list's own reads, and by the dot for the connection.
    if (live && atTop.current && !filter.sort) void read().catch(() => setFresh(true));
    else setFresh(true);
  }, TOGETHER_MS);
  useLive("audit-log", refresh);

  return {
    live,
    fresh,
    setLive: (on) => {
      setLive(on);
      if (on && fresh && atTop.current) void read().catch(() => {});
    },
    setAtTop: (at) => {
      atTop.current = at;
      if (at && live && fresh) void read().catch(() => {});
    },
    catchUp: () => void read().catch(() => {}),
  };
}
