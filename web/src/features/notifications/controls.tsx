/** What one does with a subscriber: try it, and switch it off and on. */
import { useMutation } from "@tanstack/react-query";
import { CircleCheck, CircleX } from "lucide-react";
import type { NotificationTest } from "#/api/schema";
import { counted, useTranslation } from "#/i18n";
import { Button } from "#/ui/button";
import { ErrorBox } from "#/ui/feedback";

interface Props {
  on: boolean;
  test: () => Promise<NotificationTest>;
  turn: (on: boolean) => Promise<void>;
}

export function Controls({ on, test, turn }: Props) {
  const { t } = useTranslation();
  const tried = useMutation({ mutationFn: test });
  const turned = useMutation({ mutationFn: turn });
  const error = tried.error ?? turned.error;
  return (
    <div className="mt-3 flex flex-col">
      <div className="flex flex-wrap gap-2">
        <Button busy={tried.isPending} onClick={() => tried.mutate()}>
          {t(tried.isPending ? "notification.testing" : "notification.test")}
        </Button>
        <Button busy={turned.isPending} onClick={() => turned.mutate(!on)}>
          {t(on ? "notification.switchOff" : "notification.switchOn")}
        </Button>
      </div>
      {error ? <ErrorBox error={error} className="mt-3" /> : null}
      <div role="status">{tried.data && !tried.isPending ? <Result result={tried.data} /> : null}</div>
    </div>
  );
}

function Result({
  result: { delivered, status, took_ms, error, note, excerpt },
}: {
  result: NotificationTest;
}) {
  const { t } = useTranslation();
  const Icon = delivered ? CircleCheck : CircleX;
  return (
    <div className="mt-3 flex gap-2">
      <Icon
        aria-hidden
        className={`mt-0.5 size-4 shrink-0 ${delivered ? "text-up-text" : "text-down-text"}`}
      />
      <div className="flex min-w-0 flex-1 flex-col gap-1">
        <p className="break-words first-letter:uppercase">{delivered ? t("notification.testOk") : error}</p>
        {note ? <p className="break-words">{note}</p> : null}
        <p className="text-muted">
          {status === null ? "" : `${t("delivery.status", { status })}, `}
          {t("delivery.took", { ms: counted(took_ms) })}
        </p>
        {excerpt ? <Excerpt text={excerpt} /> : null}
      </div>
    </div>
  );
}

/** The beginning of what a receiver answered, as it came. */
export function Excerpt({ text }: { text: string }) {
  return (
    <p className="mono max-h-24 overflow-y-auto rounded border border-line bg-sunken px-2 py-1 text-xs wrap-anywhere whitespace-pre-wrap">
      {text}
    </p>
  );
}
