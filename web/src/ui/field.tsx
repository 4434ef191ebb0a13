/** Form parts: label above, help below, the error beside its field and tied to it for screen readers. */
import { type ComponentProps, type ReactNode, useId } from "react";
import { cx } from "./cx";

const control =
  "w-full rounded-md border border-line-strong bg-canvas text-ellipsis px-2.5 text-sm text-ink aria-invalid:border-down disabled:opacity-60";

interface FieldProps {
  label: string;
  help?: ReactNode;
  error?: string;
  hideLabel?: boolean;
}

function Frame({
  id,
  label,
  help,
  error,
  hideLabel,
  className,
  children,
}: FieldProps & { id: string; className?: string; children: ReactNode }) {
  return (
    <div className={cx("flex min-w-0 flex-col gap-1", className)}>
      <label htmlFor={id} className={hideLabel ? "sr-only" : "text-xs font-medium text-muted"}>
        {label}
      </label>
      {children}
      {error ? (
        <p id={`${id}-error`} role="alert" className="text-xs text-down-text">
          {error}
        </p>
      ) : null}
      {help ? (
        <div id={`${id}-help`} className="text-xs text-faint">
          {help}
        </div>
      ) : null}
    </div>
  );
}

function describe(id: string, { help, error }: FieldProps) {
  const ids = [error && `${id}-error`, help && `${id}-help`].filter(Boolean).join(" ");
  return { "aria-invalid": error ? true : undefined, "aria-describedby": ids || undefined };
}

export function TextField({
  label,
  help,
  error,
  hideLabel,
  className,
  mono,
  trailing,
  ...rest
}: FieldProps & ComponentProps<"input"> & { mono?: boolean; trailing?: ReactNode }) {
  const id = useId();
  const frame = { label, help, error, hideLabel };
  return (
    <Frame id={id} {...frame} className={className}>
      <div className="relative flex">
        <input
          id={id}
          className={cx(control, "h-8 max-md:h-10 max-md:text-base", mono && "mono", !!trailing && "pr-10")}
          {...describe(id, frame)}
          {...rest}
        />
        {trailing ? <div className="absolute inset-y-0 right-0 flex items-center">{trailing}</div> : null}
      </div>
    </Frame>
  );
}

export function TextArea({
  label,
  help,
  error,
  hideLabel,
  className,
  mono,
  ...rest
}: FieldProps & ComponentProps<"textarea"> & { mono?: boolean }) {
  const id = useId();
  const frame = { label, help, error, hideLabel };
  return (
    <Frame id={id} {...frame} className={className}>
      <textarea
        id={id}
        className={cx(control, "min-h-20 py-1.5 max-md:text-base", mono && "mono")}
        {...describe(id, frame)}
        {...rest}
      />
    </Frame>
  );
}

export function SelectField({
  label,
  help,
  error,
  hideLabel,
  className,
  children,
  ...rest
}: FieldProps & ComponentProps<"select">) {
  const id = useId();
  const frame = { label, help, error, hideLabel };
  return (
    <Frame id={id} {...frame} className={className}>
      <select
        id={id}
        className={cx(control, "h-8 max-md:h-10 max-md:text-base")}
        {...describe(id, frame)}
        {...rest}
      >
        {children}
      </select>
    </Frame>
  );
}

export function Checkbox({ label, className, ...rest }: ComponentProps<"input"> & { label: ReactNode }) {
  return (
    <label className={cx("flex items-center gap-2 text-sm", className)}>
      <input type="checkbox" className="size-4 accent-accent" {...rest} />
      {label}
    </label>
  );
}
