import { X } from "lucide-react";
import { Dialog as Radix } from "radix-ui";
import { type ReactNode, useRef } from "react";
import { useTranslation } from "#/i18n";
import { IconButton } from "./button";
import { cx } from "./cx";
import { GuardScope, useGuardScope } from "./guard";

interface DialogProps {
  title: string;
  description?: string;
  open: boolean;
  onClose: () => void;
  children: ReactNode;
  wide?: boolean;
  /** Its buttons, where what stands above them scrolls. */
  footer?: ReactNode;
}

const FIRST =
  "input:not(:disabled),select:not(:disabled),textarea:not(:disabled),button:not(:disabled),a[href]";

/** A modal dialog. For short questions and previews; anything longer belongs into the side panel. */
export function Dialog({ title, description, open, onClose, children, wide, footer }: DialogProps) {
  const { t } = useTranslation();
  const { path, leave } = useGuardScope();
  const body = useRef<HTMLDivElement>(null);
  const before = useRef<Element | null>(null);
  const wasOpen = useRef(false);
  if (open !== wasOpen.current) {
    // While it is drawn: a field inside may take the focus as soon as it is there.
    if (open) before.current = document.activeElement;
    wasOpen.current = open;
  }
  return (
    <GuardScope path={path}>
      <Radix.Root open={open} onOpenChange={(next) => !next && leave(onClose)}>
        <Radix.Portal>
          <Radix.Overlay className="appear fixed inset-0 z-40 bg-[rgb(0_0_0/0.55)]" />
          <Radix.Content
            onOpenAutoFocus={(event) => {
              // What one came for, not the way out. A field may have taken the focus already.
              const { current: inside } = body;
              if (!inside?.contains(document.activeElement)) {
                const first = inside?.querySelector<HTMLElement>(FIRST);
                if (!first) return;
                first.focus();
              }
              event.preventDefault();
            }}
            onCloseAutoFocus={(event) => {
              event.preventDefault();
              const { current } = before;
              if (current instanceof HTMLElement && current.isConnected) current.focus();
            }}
            {...(description ? {} : { "aria-describedby": undefined })}
            className={cx(
              "appear fixed top-[8vh] left-1/2 z-40 flex max-h-[84vh] w-[calc(100vw-1.5rem)] -translate-x-1/2 flex-col rounded-lg border border-line-strong bg-surface shadow-float",
              wide ? "max-w-2xl" : "max-w-md",
            )}
          >
            <div className="flex items-center gap-2 border-b border-line py-2 pr-2 pl-4">
              <Radix.Title className="flex-1 text-base font-semibold">{title}</Radix.Title>
              <IconButton label={t("common.close")} onClick={() => leave(onClose)}>
                <X aria-hidden className="size-4" />
              </IconButton>
            </div>
            {description ? (
              <Radix.Description className="px-4 pt-3 text-muted">{description}</Radix.Description>
            ) : null}
            <div ref={body} className="min-h-0 overflow-y-auto p-4">
              {children}
            </div>
            {footer ? (
              <div className="flex flex-wrap gap-2 border-t border-line px-4 py-2.5">{footer}</div>
            ) : null}
          </Radix.Content>
        </Radix.Portal>
      </Radix.Root>
    </GuardScope>
  );
}
