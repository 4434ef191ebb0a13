/** What a subscriber hears of: everything, or the kinds that are chosen. */

import { useQuery } from "@tanstack/react-query";
import { useCallback } from "react";
import type { UseFormRegisterReturn } from "react-hook-form";
import type { NoticeKind } from "#/api/schema";
import { useTranslation } from "#/i18n";
import { ErrorBox, SkeletonLines } from "#/ui/feedback";
import { Checkbox } from "#/ui/field";
import { noticeKindsQuery } from "./queries";

interface Props {
  everything: boolean;
  all: UseFormRegisterReturn;
  some: UseFormRegisterReturn;
  error?: string;
}

export function EventsField({ everything, all, some, error }: Props) {
  const { t } = useTranslation();
  const kinds = useQuery(noticeKindsQuery);
  return (
    <fieldset className="flex flex-col gap-2">
      <legend className="mb-1.5 text-xs font-medium text-muted">{t("notification.events")}</legend>
      <Checkbox label={t("notification.everything")} {...all} />
      {everything ? null : kinds.error ? (
        <ErrorBox error={kinds.error} retry={() => void kinds.refetch()} />
      ) : kinds.data ? (
        <ul className="flex flex-col gap-2 border-l border-line pl-3">
          {kinds.data.map((kind) => (
            <li key={kind.kind}>
              <Checkbox
                value={kind.kind}
                className="items-start! [&>input]:mt-0.5 [&>input]:shrink-0"
                label={
                  <span className="min-w-0">
                    <span className="block">{kind.title}</span>
                    <span className="block text-xs text-faint">{kind.description}</span>
                  </span>
                }
                {...some}
              />
            </li>
          ))}
        </ul>
      ) : (
        <SkeletonLines lines={8} />
      )}
      {error ? (
        <p role="alert" className="text-xs text-down-text">
          {error}
        </p>
      ) : null}
    </fieldset>
  );
}

/** The chosen kinds in words. */
/** Which notices are sent, in words. */
export function useEventsText(): (events: readonly NoticeKind[]) => string {
  const { t } = useTranslation();
  const kinds = useQuery(noticeKindsQuery).data;
  return useCallback(
    (events) =>
      events.length === 0
        ? t("notification.everythingShort")
        : events.map((event) => kinds?.find(({ kind }) => kind === event)?.title ?? event).join(", "),
    [t, kinds],
  );
}
