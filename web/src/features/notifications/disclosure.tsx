import { ChevronRight } from "lucide-react";
import { type ReactNode, useId, useState } from "react";
import { cx } from "#/ui/cx";

interface Props {
  title: string;
  subtitle: ReactNode;
  badge: ReactNode;
  children: ReactNode;
}

/** A line of a log, with all of it behind a click. */
export function Disclosure({ title, subtitle, badge, children }: Props) {
  const [open, setOpen] = useState(false);
  const body = useId();
  return (
    <li>
      <button
        type="button"
        aria-expanded={open}
        aria-controls={body}
        className="flex w-full items-center gap-2 py-2 text-left hover:bg-hover"
        onClick={() => setOpen(!open)}
      >
        <ChevronRight
          aria-hidden
          className={cx("size-4 shrink-0 text-faint transition-transform duration-100", open && "rotate-90")}
        />
        <span className="min-w-0 flex-1">
          <span className="block truncate">{title}</span>
          <span className="block truncate text-xs text-muted">{subtitle}</span>
        </span>
        {badge}
      </button>
      <div id={body} hidden={!open}>
        {open ? children : null}
      </div>
    </li>
  );
}
