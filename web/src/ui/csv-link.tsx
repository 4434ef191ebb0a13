/** A list as a file that the server writes. */
import { Download } from "lucide-react";
import type { ReactNode } from "react";
import { useAwaySince } from "#/api/hooks";
import { useTranslation } from "#/i18n";
import { buttonClass } from "./button";

interface CsvLinkProps {
  href: string;
  /** What the file holds, in words. */
  label: string;
  /** The name of the file, where the server gives none. */
  name?: string;
  children: ReactNode;
}

export function CsvLink({ href, label, name, children }: CsvLinkProps) {
  const { t } = useTranslation();
  const away = useAwaySince() !== null;
  return (
    <a
      // A link without an address leads nowhere, and is still found by the keyboard.
      href={away ? undefined : href}
      role={away ? "link" : undefined}
      tabIndex={away ? 0 : undefined}
      aria-disabled={away || undefined}
      download={name ?? true}
      aria-label={label}
      title={away ? t("away.download") : label}
      className={buttonClass("plain", away ? "opacity-50" : undefined)}
    >
      <Download aria-hidden className="size-4" />
      {children}
    </a>
  );
}
