/**
 * A step of review, as the page does it: what it takes from the list is hidden at once, one sentence says what was done, and for ten
 * seconds Undo takes it back. A step that fails shows the findings again and says why.
 */
import { useQueryClient } from "@tanstack/react-query";
import { useRouter } from "@tanstack/react-router";
import { useCallback, useMemo, useRef, useState } from "react";
import { waitingQuery } from "#/api/queries";
import type { AssetKind, Finding, ReviewDone } from "#/api/schema";
import { refreshAfterReview, undoReview } from "#/domain/undo-review";
import { useTranslation } from "#/i18n";
import { dismiss, toast, UNDO_MS } from "#/ui/toast";
import { acceptOne, type Chosen, type Step, sendStep } from "./queries";

interface Hidden {
  ids: ReadonlySet<string>;
  /** The whole list. */
  all: boolean;
}
const nothing: Hidden = { ids: new Set(), all: false };

export interface Review {
  hidden: Hidden;
  /** `shown` are those of the chosen ones that the list shows. */
  step: (step: Step, chosen: Chosen, shown: readonly string[]) => void;
  accept: (finding: Finding, typed: { name?: string; kind?: AssetKind; role?: string | null }) => void;
  /** Takes the last step back that was not taken back yet, while that is offered. */
  undoLast: () => void;
  /** What the list holds now: what it no longer holds need not be hidden. */
  listed: (ids: ReadonlySet<string>) => void;
}

/** A step in the order in which it was taken; its answer may come later than that of the next one. */
interface Taken {
  undo?: () => void;
  /** It was to be undone before its answer came. */
  unwanted?: boolean;
}

/** Steps that leave the finding where it is. */
const stays = (step: Step) => step.type === "propose" || step.type === "tag";

/** By how many a step makes those fewer that wait for review. */
function fewer(step: Step, chosen: Chosen): number {
  if (stays(step)) return 0;
  const count = "ids" in chosen ? chosen.ids.length : chosen.count;
  return step.type === "reopen" ? -count : count;
}

export function useReview(): Review {
  const { t } = useTranslation();
  const client = useQueryClient();
  const router = useRouter({ warn: false });
  const [hidden, setHidden] = useState(nothing);
  const taken = useRef<Taken[]>([]);

  const hide = useCallback((ids: readonly string[], all: boolean, on: boolean) => {
    setHidden((before) => {
      const next = new Set(before.ids);
      for (const id of ids) {
        if (on) next.add(id);
        else next.delete(id);
      }
      return { ids: next, all: all ? on : before.all };
    });
  }, []);

  const listed = useCallback((ids: ReadonlySet<string>) => {
    setHidden((before) => {
      const left = [...before.ids].filter((id) => ids.has(id));
      return left.length === before.ids.size ? before : { ...before, ids: new Set(left) };
    });
  }, []);

  const run = useCallback(
    async (what: {
      send: () => Promise<Pick<ReviewDone, "count" | "skipped" | "review_id">>;
      text: (count: number) => string;
      ids: readonly string[];
      all: boolean;
      fewer: number;
      toMap: boolean;
    }) => {
      const { ids, all } = what;
      const step: Taken = {};
      const forget = () => {
        const known = taken.current.includes(step);
        taken.current = taken.current.filter((one) => one !== step);
        return known;
      };
      taken.current.push(step);
      if (ids.length > 0 || all) hide(ids, all, true);
      // The rail counts as the list does, at once; what the server says follows.
      client.setQueryData(waitingQuery.queryKey, (count) => count && Math.max(0, count - what.fewer));
      try {
        const { count, skipped, review_id } = await what.send();
        if (review_id) {
          const undo = () => void undoReview(client, review_id, t).finally(() => hide(ids, all, false));
          if (step.unwanted) undo();
          else {
            // The key and the button of the message are the same undo, which runs once.
            step.undo = () => {
              if (!forget()) return;
              dismiss(told);
              undo();
            };
            setTimeout(forget, UNDO_MS);
            const told = toast(what.text(count), {
              ms: UNDO_MS,
              action: { label: t("common.undo"), run: step.undo },
              also: what.toMap
                ? { label: t("findings.seeThem"), run: () => void router?.navigate({ to: "/map" }) }
                : undefined,
            });
          }
        } else forget();
        const [first] = skipped;
        if (first)
          toast(t("findings.skipped", { count: skipped.length, reason: first.reason }), { tone: "error" });
        await refreshAfterReview(client);
        // Those that were skipped are there again.
        hide(all ? ids : skipped.map(({ id }) => id), all, false);
      } catch (error) {
        forget();
        hide(ids, all, false);
        toast(error instanceof Error ? error.message : t("error.unknown"), { tone: "error" });
        void refreshAfterReview(client);
      }
    },
    [client, hide, router, t],
  );

  return useMemo(
    () => ({
      hidden,
      step: (step, chosen, shown) =>
        void run({
          send: () => sendStep(step, chosen),
          text: (count) => t(`findings.did.${step.type}`, { count }),
          ids: stays(step) ? [] : shown,
          all: !stays(step) && "filter" in chosen && !("group" in chosen.filter),
          fewer: fewer(step, chosen),
          toMap: step.type === "accept",
        }),
      accept: (finding, typed) =>
        void run({
          send: async () => {
            const { review_id } = await acceptOne(finding.id, typed);
            return { count: 1, skipped: [], review_id };
          },
          text: () => t("findings.acceptedOne", { name: typed.name ?? finding.title }),
          ids: [finding.id],
          all: false,
          fewer: 1,
          toMap: true,
        }),
      undoLast: () => {
        const step = taken.current.at(-1);
        if (step?.undo) step.undo();
        else if (step) {
          step.unwanted = true;
          taken.current.pop();
        }
      },
      listed,
    }),
    [hidden, listed, run, t],
  );
}
