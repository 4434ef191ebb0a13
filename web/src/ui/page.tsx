import { type ReactNode, useEffect, useRef } from "react";
import { usePageTitle } from "./title";

/** The head of a page: what it is, how much there is, and what to do here. */
export function PageHead({
  title,
  count,
  children,
}: {
  title: string;
  count?: ReactNode;
  children?: ReactNode;
}) {
  usePageTitle(title);
  return (
    <header className="flex min-h-13 flex-wrap items-center gap-x-3 gap-y-2 border-b border-line px-4 py-2">
      <h1 className="text-base font-semibold">{title}</h1>
      {count !== undefined && count !== null ? <span className="text-muted">{count}</span> : null}
      <div className="ml-auto flex flex-wrap items-center gap-2 max-md:has-[>:nth-child(2)]:w-full max-md:has-[>[role=tablist]]:w-full">
        {children}
      </div>
    </header>
  );
}

/** A line above a table: what narrows it at the left, what changes its looks at the right. */
export function TableBar({ children }: { children: ReactNode }) {
  return (
    <div className="flex items-center gap-2 border-b border-line px-4 py-2 [&>:nth-child(2)]:ml-auto">
      {children}
    </div>
  );
}

/** The content of a page with room for a side panel at its right. `sheet`: on a phone the panel comes from below and leaves a part of the page. */
export function WithPanel({
  children,
  panel,
  sheet = false,
}: {
  children: ReactNode;
  panel?: ReactNode;
  sheet?: boolean;
}) {
  return (
    <div data-sheet={sheet || undefined} className="group/with relative flex min-h-0 flex-1">
      <div className="flex min-w-0 flex-1 flex-col">{children}</div>
      {panel}
    </div>
  );
}

/** A page of blocks one under another, for settings and the like. */
export function Blocks({ label, children }: { label: string; children: ReactNode }) {
  return (
    <section
      className="min-h-0 flex-1 overflow-y-auto"
      // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must be reachable by keyboard
      tabIndex={0}
      aria-label={label}
    >
      <div className="max-w-2xl divide-y divide-line px-4">{children}</div>
    </section>
  );
}

interface BlockProps {
  title: string;
  text: string;
  /** Somebody came for this one. */
  wanted?: boolean;
  children: ReactNode;
}

export function Block({ title, text, wanted = false, children }: BlockProps) {
  const section = useRef<HTMLElement>(null);
  useEffect(() => {
    if (wanted) section.current?.focus();
  }, [wanted]);
  return (
    <section ref={section} tabIndex={-1} aria-label={title} className="py-6">
      <h2 className="font-semibold">{title}</h2>
      <p className="mt-0.5 mb-3 text-muted">{text}</p>
      {children}
    </section>
  );
}
