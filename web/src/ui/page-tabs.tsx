/** The pages that stand together, as the head of each. */
import { Link } from "@tanstack/react-router";
import { cx } from "./cx";

export function PageTabs({ label, tabs }: { label: string; tabs: readonly { to: string; label: string }[] }) {
  return (
    <nav aria-label={label} className="flex gap-1 border-b border-line px-3">
      {tabs.map((tab) => (
        <Link
          key={tab.to}
          to={tab.to}
          // Whatever is searched for or selected there, it is the same page.
          activeOptions={{ exact: true, includeSearch: false }}
          className={cx(
            "-mb-px flex h-9 items-center border-b-2 border-transparent px-2 text-sm text-muted hover:text-ink",
            "max-md:h-11",
          )}
          activeProps={{ className: "border-accent! text-ink! font-medium", "aria-current": "page" }}
        >
          {tab.label}
        </Link>
      ))}
    </nav>
  );
}
