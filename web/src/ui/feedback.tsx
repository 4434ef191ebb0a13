/** What a page shows instead of its content: nothing yet, still loading, or an error with a way on. */
import { CircleAlert, TriangleAlert } from "lucide-react";
import type { ReactNode } from "react";
import { ApiError } from "#/api/client";
import { useAwaySince } from "#/api/hooks";
import { isOutage } from "#/api/outage";
import { useTranslation } from "#/i18n";
import { Button } from "./button";
import { cx } from "./cx";

/** What went wrong, in words. */
function useReason(): (error: unknown) => string {
  const { t } = useTranslation();
  return (error) => {
    if (error instanceof ApiError && error.unproved) return t("error.unproved");
    // The server says it to programs, which have tokens.
    if (error instanceof ApiError && error.status === 401) return t("error.signedOut");
    // A mistake in this page's own code, in words for programmers.
    if (error instanceof TypeError || error instanceof RangeError || error instanceof ReferenceError)
      return t("error.unknown");
    return error instanceof Error ? error.message : t("error.unknown");
  };
}

export function ErrorBox({
  error,
  retry,
  className,
}: {
  error: unknown;
  retry?: () => void;
  className?: string;
}) {
  const { t } = useTranslation();
  const reason = useReason();
  const api = error instanceof ApiError ? error : null;
  return (
    <div
      role="alert"
      className={cx("flex gap-3 rounded-md border border-down/50 bg-down-soft p-3 text-sm", className)}
    >
      <CircleAlert aria-hidden className="mt-0.5 size-4 shrink-0 text-down-text" />
      <div className="min-w-0 flex-1">
        <p className="break-words">{reason(error)}</p>
        {retry && isOutage(error) ? <p className="mt-1 text-muted">{t("error.again")}</p> : null}
        {api?.requestId && api.status >= 500 ? (
          <p className="mt-1 text-xs text-muted">
            {t("error.requestId")} <span className="mono select-all">{api.requestId}</span>
          </p>
        ) : null}
      </div>
      {retry ? <Button onClick={retry}>{t("error.retry")}</Button> : null}
    </div>
  );
}

/** Something to know before one goes on. */
export function Warning({ children, className }: { children: ReactNode; className?: string }) {
  return (
    <p
      role="status"
      className={cx("flex gap-2.5 rounded-md border border-degraded/50 bg-sunken p-3 text-sm", className)}
    >
      <TriangleAlert aria-hidden className="mt-0.5 size-4 shrink-0 text-degraded-text" />
      <span className="min-w-0 break-words">{children}</span>
    </p>
  );
}

export function Empty({
  icon,
  title,
  heading: Heading = "h2",
  children,
  action,
}: {
  icon?: ReactNode;
  title: string;
  heading?: "h1" | "h2";
  children?: ReactNode;
  action?: ReactNode;
}) {
  return (
    <div className="flex flex-col items-center gap-3 px-6 py-14 text-center">
      {icon ? <div className="text-faint [&>svg]:size-8 [&>svg]:stroke-[1.25]">{icon}</div> : null}
      <Heading className="text-base font-medium">{title}</Heading>
      {children ? <div className="max-w-md text-muted">{children}</div> : null}
      {action ? <div className="mt-1 flex flex-wrap justify-center gap-2">{action}</div> : null}
    </div>
  );
}

export function Skeleton({ className }: { className?: string }) {
  return <div aria-hidden className={cx("skeleton", className)} />;
}

/** In place of a skeleton while the server is away: a skeleton would pretend that something is on its way. */
export function NotLoaded({ className }: { className?: string }) {
  const { t } = useTranslation();
  return <p className={cx("text-muted", className)}>{t("away.later")}</p>;
}

export function SkeletonLines({ lines = 4 }: { lines?: number }) {
  if (useAwaySince() !== null) return <NotLoaded />;
  return (
    <div className="flex flex-col gap-2.5" aria-busy="true">
      {Array.from({ length: lines }, (_, at) => (
        <Skeleton
          // biome-ignore lint/suspicious/noArrayIndexKey: placeholder rows have no identity
          key={at}
          className={cx("h-4", at % 3 === 0 ? "w-2/3" : at % 3 === 1 ? "w-11/12" : "w-1/2")}
        />
      ))}
    </div>
  );
}

export function Badge({
  children,
  tone = "plain",
}: {
  children: ReactNode;
  tone?: "plain" | "accent" | "up" | "down" | "degraded";
}) {
  const tones = {
    plain: "border-line-strong text-muted",
    accent: "border-accent/60 text-accent-text",
    up: "border-up/60 text-up-text",
    down: "border-down/60 text-down-text",
    degraded: "border-degraded/60 text-degraded-text",
  };
  return (
    <span
      className={cx(
        "inline-flex h-5 items-center gap-1 rounded border px-1.5 text-xs whitespace-nowrap",
        tones[tone],
      )}
    >
      {children}
    </span>
  );
}

export function Progress({ value, label }: { value: number; label: string }) {
  const percent = Math.max(0, Math.min(100, Math.round(value * 100)));
  return (
    <div
      role="progressbar"
      aria-label={label}
      aria-valuenow={percent}
      aria-valuemin={0}
      aria-valuemax={100}
      className="h-1.5 w-full overflow-hidden rounded-full bg-hover"
    >
      <div
        className="h-full rounded-full bg-accent transition-[width] duration-150"
        style={{ width: `${percent}%` }}
      />
    </div>
  );
}
