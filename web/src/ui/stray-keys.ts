import { type RefObject, useEffect, useEffectEvent } from "react";

/** Keys that are pressed while nothing on the page has the focus, or all of it has: they are for the `part` that it is about. */
export function useStrayKeys(
  part: RefObject<HTMLElement | null>,
  take: (event: KeyboardEvent, holder: Element) => void,
): void {
  const onKey = useEffectEvent((event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    // What holds the focus for all of the page holds the part too. A field, a panel, a menu and a dialog do not.
    const holder = document.activeElement;
    if (part.current && holder?.contains(part.current)) take(event, holder);
  });
  useEffect(() => {
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, []);
}
