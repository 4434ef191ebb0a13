import type { ComponentProps } from "react";
import { cx } from "./cx";

type Look = "primary" | "plain" | "ghost" | "danger";
const looks: Record<Look, string> = {
  primary: "bg-accent text-accent-ink font-medium hover:brightness-110 border-transparent",
  plain: "bg-raised text-ink border-line-strong hover:bg-hover",
  ghost: "bg-transparent text-muted border-transparent hover:bg-hover hover:text-ink",
  danger: "bg-transparent text-down-text border-line-strong hover:bg-down-soft",
};

export function buttonClass(look: Look = "plain", className?: string): string {
  return cx(
    "inline-flex h-8 shrink-0 items-center justify-center gap-1.5 whitespace-nowrap rounded-md border px-3 text-sm",
    "transition-colors duration-100 disabled:opacity-50 max-md:h-10",
    looks[look],
    className,
  );
}

type ButtonProps = ComponentProps<"button"> & { look?: Look; busy?: boolean };

export function Button({ look = "plain", busy, className, children, disabled, ...rest }: ButtonProps) {
  return (
    <button
      type="button"
      className={buttonClass(look, className)}
      disabled={disabled || busy}
      aria-busy={busy}
      {...rest}
    >
      {children}
    </button>
  );
}

/** A square button with only an icon; `label` is its name for everyone. */
export function IconButton({ label, className, ...rest }: ComponentProps<"button"> & { label: string }) {
  return (
    <button
      type="button"
      aria-label={label}
      title={label}
      className={cx(
        "inline-flex size-8 shrink-0 items-center justify-center rounded-md text-muted hover:bg-hover hover:text-ink",
        "transition-colors duration-100 disabled:opacity-50 aria-pressed:bg-accent-soft aria-pressed:text-accent-text max-md:size-10",
        className,
      )}
      {...rest}
    />
  );
}
