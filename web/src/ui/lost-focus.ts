/**
 * When what holds the focus goes away, a browser gives the focus to the body: screen readers begin anew, and keys reach nobody. Here it goes to
 * the nearest part around it that takes the focus, or to the panel that takes the place of its own; from a message or a dialog, back to where
 * it was before. A list is quicker and gives it to the row that takes the place.
 */
const REMEMBERED = 10;
const PANEL = "[data-panel]";

interface Holder {
  element: HTMLElement;
  /** The parts around it that take the focus, nearest first: a removed element has no parents. */
  around: HTMLElement[];
}

let holders: Holder[] = [];

function parts(element: HTMLElement): HTMLElement[] {
  const found: HTMLElement[] = [];
  for (let at = element.parentElement; at; at = at.parentElement)
    if (at.hasAttribute("tabindex")) found.push(at);
  return found;
}

const nobody = () => !document.activeElement || document.activeElement === document.body;

/** Whether what had the focus is gone, and nothing else has it. */
export function focusIsLost(): boolean {
  const [holder] = holders;
  return !!holder && !holder.element.isConnected && nobody();
}

function giveBack(): void {
  if (!focusIsLost()) return;
  const [lost] = holders;
  holders = holders.filter(({ element }) => element.isConnected);
  const around = lost?.around ?? [];
  // A panel that has closed for another one is where the hand is.
  const panel = around.some((part) => part.matches(PANEL) && !part.isConnected)
    ? document.querySelector<HTMLElement>(PANEL)
    : null;
  const next = panel ?? around.find((part) => part.isConnected) ?? holders[0]?.element;
  next?.focus({ preventScroll: true });
}

document.addEventListener("focusin", ({ target }) => {
  if (!(target instanceof HTMLElement) || target === document.body) return;
  const before = holders.filter(({ element }) => element !== target).slice(0, REMEMBERED - 1);
  holders = [{ element: target, around: parts(target) }, ...before];
});
document.addEventListener("focusout", ({ target, relatedTarget }) => {
  // Somebody clicked where nothing takes the focus, or went to another window: nothing is lost.
  if (!relatedTarget)
    queueMicrotask(() => {
      if (target instanceof HTMLElement && target.isConnected && nobody()) holders = [];
    });
});

/** Watches over the page that is shown. */
export function keepFocus(): () => void {
  const observer = new MutationObserver(giveBack);
  observer.observe(document.body, { childList: true, subtree: true });
  return () => observer.disconnect();
}
