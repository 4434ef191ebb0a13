/** React bindings of the live topics. */
import { useEffect, useRef, useSyncExternalStore } from "react";
import { reach } from "./client";
import { type LiveMessage, type LiveState, live } from "./live";

/** Calls `handler` for each message of a topic while the component is mounted. */
export function useLive<T extends keyof typeof live>(
  topic: T,
  handler: (message: LiveMessage<T>) => void,
): void {
  const latest = useRef(handler);
  useEffect(() => {
    latest.current = handler;
  });
  useEffect(() => {
    const source = live[topic] as { subscribe(l: (m: LiveMessage<T>) => void): () => void };
    return source.subscribe((message) => latest.current(message));
  }, [topic]);
}

export function useLiveState(topic: keyof typeof live): LiveState {
  return useSyncExternalStore(live[topic].watch, live[topic].getState);
}

/** Since when the server is away, in milliseconds; null while it is there. */
export function useAwaySince(): number | null {
  return useSyncExternalStore(reach.watch, reach.awaySince);
}

/** At most one call per `interval`, the last one never lost. For refetches caused by bursts of events. */
export function useThrottled(run: () => void, interval: number): () => void {
  const latest = useRef(run);
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  useEffect(() => {
    latest.current = run;
  });
  useEffect(() => () => clearTimeout(timer.current), []);
  return useRef(() => {
    timer.current ??= setTimeout(() => {
      timer.current = undefined;
      latest.current();
    }, interval);
  }).current;
}
