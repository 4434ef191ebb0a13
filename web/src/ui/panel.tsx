/** The side panel: the same place for every selected thing and every form. Beside the list on a desk, over it on a phone. */
import { X } from "lucide-react";
import { type ReactNode, useEffect, useId, useRef } from "react";
import { useTranslation } from "#/i18n";
import { IconButton } from "./button";
import { GuardScope, useGuardScope } from "./guard";

interface PanelProps {
  title: string;
  icon?: ReactNode;
  subtitle?: ReactNode;
  actions?: ReactNode;
  onClose: () => void;
  children: ReactNode;
  footer?: ReactNode;
}

export function Panel({ title, icon, subtitle, actions, onClose, children, footer }: PanelProps) {
  const { t } = useTranslation();
  const heading = useId();
  const { path, leave } = useGuardScope();
  const close = useRef(() => {});
  useEffect(() => {
    close.current = () => leave(onClose);
  });
  useEffect(() => {
    const before = document.activeElement;
    function onKey(event: KeyboardEvent) {
      if (
        event.key !== "Escape" ||
        event.defaultPrevented ||
        document.querySelector("[role=dialog],[role=menu]")
      )
        return;
      close.current();
    }
    document.addEventListener("keydown", onKey);
    return () => {
      document.removeEventListener("keydown", onKey);
      if (before instanceof HTMLElement && before.isConnected) before.focus({ preventScroll: true });
    };
  }, []);
  return (
    <GuardScope path={path}>
      <aside
        aria-labelledby={heading}
        data-panel
        tabIndex={-1}
        onKeyDown={(event) => {
          // Back to the row that it belongs to.
          if (event.key !== "Tab" || !event.shiftKey || event.target !== event.currentTarget) return;
          const row = document.querySelector<HTMLElement>("[data-row-open][aria-current=true]");
          if (!row) return;
          event.preventDefault();
          row.focus();
        }}
        className="appear flex w-full min-w-0 shrink-0 flex-col border-line bg-surface max-lg:absolute max-lg:inset-y-0 max-lg:right-0 max-lg:z-20 max-lg:max-w-md max-lg:shadow-float max-md:max-w-none lg:w-96 lg:border-l xl:w-[26rem] max-md:group-data-sheet/with:top-auto max-md:group-data-sheet/with:h-[58%] max-md:group-data-sheet/with:rounded-t-xl max-md:group-data-sheet/with:border-t"
      >
        <header className="flex min-h-12 items-center gap-2.5 border-b border-line py-1.5 pr-2 pl-4">
          {icon}
          <div className="min-w-0 flex-1">
            <h2 id={heading} className="truncate text-base font-semibold">
              {title}
            </h2>
            {subtitle ? <div className="truncate text-xs text-muted">{subtitle}</div> : null}
          </div>
          {actions}
          <IconButton label={t("common.close")} onClick={() => leave(onClose)}>
            <X aria-hidden className="size-4" />
          </IconButton>
        </header>
        {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must be reachable by keyboard */}
        <section className="min-h-0 flex-1 overflow-y-auto p-4" tabIndex={0} aria-labelledby={heading}>
          {children}
        </section>
        {footer ? (
          <footer className="flex flex-wrap gap-2 border-t border-line px-4 py-2.5">{footer}</footer>
        ) : null}
      </aside>
    </GuardScope>
  );
}

export function Section({
  title,
  action,
  children,
}: {
  title: string;
  action?: ReactNode;
  children: ReactNode;
}) {
  return (
    <section className="mt-5 first:mt-0">
      <div className="mb-1.5 flex h-7 items-center justify-between gap-2">
        <h3 className="text-xs font-semibold tracking-wide text-muted uppercase">{title}</h3>
        {action}
      </div>
      {children}
    </section>
  );
}
