/**
 * Short messages at the edge, and the undo of deletes. `deferred` is the honest kind of undo: nothing is sent until the
 * ten seconds are over, the page is left, or a second delete of the same thing comes. Own part rather than a library:
 * those inject a <style> without a nonce, which our content policy refuses.
 */
import { X } from "lucide-react";
import { useLayoutEffect, useRef, useSyncExternalStore } from "react";
import { useTranslation } from "#/i18n";
import { IconButton } from "./button";
import { cx } from "./cx";

interface Toast {
  id: number;
  text: string;
  tone: "plain" | "error";
  action?: Action;
  /** A second thing to do about it. */
  also?: Action;
}

interface Action {
  label: string;
  run: () => void;
}

const SHOWN_MS = 5_000;
export const UNDO_MS = 10_000;
const MOST = 4;
/** Pixels below and above them. */
const AROUND = 24;

let toasts: readonly Toast[] = [];
let nextId = 1;
const listeners = new Set<() => void>();
const timers = new Map<number, ReturnType<typeof setTimeout>>();

function set(next: readonly Toast[]): void {
  toasts = next;
  for (const listener of listeners) listener();
}

export function dismiss(id: number): void {
  clearTimeout(timers.get(id));
  timers.delete(id);
  set(toasts.filter((t) => t.id !== id));
}

export function toast(
  text: string,
  options: { tone?: Toast["tone"]; action?: Action; also?: Action; ms?: number } = {},
): number {
  const { tone = "plain", action, also } = options;
  // The same words again are told anew in place of the others. Those with something to do stay: each does another thing.
  const same = toasts.find((one) => one.text === text && one.tone === tone && !one.action && !one.also);
  if (same && !action && !also) dismiss(same.id);
  const id = nextId++;
  set([...toasts.slice(-(MOST - 1)), { id, text, tone, action, also }]);
  timers.set(
    id,
    setTimeout(() => dismiss(id), options.ms ?? SHOWN_MS),
  );
  return id;
}

interface Deferred {
  commit: () => void;
  leave: () => void;
  timer: ReturnType<typeof setTimeout>;
}
const pending = new Set<Deferred>();

/** Runs `commit` after the undo time unless the user takes it back. `leave` is the same, when the page goes away. */
export function deferred(
  text: string,
  undoLabel: string,
  work: { commit: () => void; leave: () => void; undo: () => void },
): void {
  const entry: Deferred = {
    commit: work.commit,
    leave: work.leave,
    timer: setTimeout(() => {
      pending.delete(entry);
      entry.commit();
    }, UNDO_MS),
  };
  pending.add(entry);
  toast(text, {
    ms: UNDO_MS,
    action: {
      label: undoLabel,
      run: () => {
        if (!pending.delete(entry)) return;
        clearTimeout(entry.timer);
        work.undo();
      },
    },
  });
}

/** Commits everything that still waits for its undo time. */
export function flushDeferred(how: "commit" | "leave"): void {
  for (const entry of [...pending]) {
    clearTimeout(entry.timer);
    pending.delete(entry);
    entry[how]();
  }
}
addEventListener("pagehide", () => flushDeferred("leave"));

export function Toaster() {
  const { t } = useTranslation();
  const shown = useSyncExternalStore(
    (changed) => {
      listeners.add(changed);
      return () => listeners.delete(changed);
    },
    () => toasts,
  );
  const box = useRef<HTMLElement>(null);
  // Messages lie over the end of a list, which keeps its height and can be scrolled further by theirs.
  useLayoutEffect(() => {
    const all = box.current?.offsetHeight ?? 0;
    const { style } = document.documentElement;
    style.setProperty("--toast", `${shown.length > 0 ? all + AROUND : 0}px`);
  }, [shown]);
  return (
    <section
      ref={box}
      aria-label={t("common.notifications")}
      aria-live="polite"
      className="pointer-events-none fixed bottom-4 left-1/2 z-50 flex w-96 -translate-x-1/2 max-w-[calc(100vw-2rem)] flex-col gap-2 max-md:bottom-34 lg:max-xl:left-[calc(50%-4.5rem)] max-md:[body:has([data-makes-room]):not(:has([data-panel]))_&]:bottom-18"
    >
      {shown.map((item) => (
        <div
          key={item.id}
          className={cx(
            "appear pointer-events-auto flex items-center gap-2 rounded-md border bg-raised py-2 pr-2 pl-3 text-sm shadow-float",
            item.tone === "error" ? "border-down" : "border-line-strong",
          )}
        >
          <p title={item.text} className="line-clamp-4 min-w-0 flex-1 break-words">
            {item.text}
          </p>
          {[item.also, item.action].map((action) =>
            action ? (
              <button
                key={action.label}
                type="button"
                className="rounded px-2 py-1 font-medium whitespace-nowrap text-accent-text hover:bg-hover"
                onClick={() => {
                  action.run();
                  dismiss(item.id);
                }}
              >
                {action.label}
              </button>
            ) : null,
          )}
          <IconButton label={t("common.close")} className="size-7" onClick={() => dismiss(item.id)}>
            <X aria-hidden className="size-4" />
          </IconButton>
        </div>
      ))}
    </section>
  );
}
