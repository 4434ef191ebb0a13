/** Form parts: label above, help below, the error beside its field and tied to it for screen readers. */
import { type ComponentProps, type ReactNode, useEffect, useId, useRef, useState } from "react";
import { useTranslation } from "#/i18n";
import { cx } from "./cx";

const control =
  "w-full rounded-md border border-line-strong bg-canvas text-ellipsis px-2.5 text-sm text-ink aria-invalid:border-down disabled:opacity-60";

interface FieldProps {
  label: string;
  help?: ReactNode;
  error?: string;
  hideLabel?: boolean;
  /** A form can be saved without it. The field says so behind its label. */
  optional?: boolean;
}

function Frame({
  id,
  label,
  help,
  error,
  hideLabel,
  optional,
  full,
  className,
  children,
}: FieldProps & { id: string; full?: number; className?: string; children: ReactNode }) {
  const { t } = useTranslation();
  return (
    <div className={cx("flex min-w-0 flex-col gap-1", className)}>
      <div className={hideLabel ? "sr-only" : "text-xs text-muted"}>
        <label htmlFor={id} className="font-medium">
          {label}
        </label>
        {optional ? <span id={`${id}-optional`}> {t("common.optional")}</span> : null}
      </div>
      {children}
      {full === undefined ? null : (
        <p role="alert" className="text-xs text-degraded-text">
          {t("common.full", { max: full })}
        </p>
      )}
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

/** A value that someone typed until the field was full: a browser cuts the rest and says nothing. */
function typedFull({ value, maxLength }: HTMLInputElement): string | undefined {
  return maxLength > 9 && value.length >= maxLength ? value : undefined;
}

function describe(id: string, { help, error, optional }: FieldProps) {
  const ids = [optional && `${id}-optional`, error && `${id}-error`, help && `${id}-help`]
    .filter(Boolean)
    .join(" ");
  return { "aria-invalid": error ? true : undefined, "aria-describedby": ids || undefined };
}

export function TextField({
  label,
  help,
  error,
  hideLabel,
  optional,
  className,
  mono,
  trailing,
  ...rest
}: FieldProps & ComponentProps<"input"> & { mono?: boolean; trailing?: ReactNode }) {
  const id = useId();
  const box = useRef<HTMLDivElement>(null);
  const [full, setFull] = useState<string>();
  // A form can put another value into the field, such as the next finding's name. The sentence belongs to the typed one.
  useEffect(() => {
    if (full !== undefined && box.current?.querySelector("input")?.value !== full) setFull(undefined);
  });
  const frame = { label, help, error, hideLabel, optional };
  return (
    <Frame id={id} {...frame} full={full === undefined ? undefined : rest.maxLength} className={className}>
      <div ref={box} className="relative flex">
        <input
          id={id}
          className={cx(control, "h-8 max-md:h-10 max-md:text-base", mono && "mono", !!trailing && "pr-10")}
          {...describe(id, frame)}
          {...rest}
          onInput={(event) => {
            setFull(typedFull(event.currentTarget));
            rest.onInput?.(event);
          }}
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
  optional,
  className,
  mono,
  ...rest
}: FieldProps & ComponentProps<"textarea"> & { mono?: boolean }) {
  const id = useId();
  const frame = { label, help, error, hideLabel, optional };
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
  optional,
  className,
  children,
  ...rest
}: FieldProps & ComponentProps<"select">) {
  const id = useId();
  const frame = { label, help, error, hideLabel, optional };
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
