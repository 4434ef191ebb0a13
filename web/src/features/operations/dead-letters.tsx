/** Jobs that the server gave up: which, why, and what an administrator can do about each. */
import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useRef, useState } from "react";
import { ApiError } from "#/api/client";
import type { Job } from "#/api/schema";
import { useAuth } from "#/api/session";
import { useTranslation } from "#/i18n";
import { Button } from "#/ui/button";
import { Confirm } from "#/ui/confirm";
import { ErrorBox, SkeletonLines } from "#/ui/feedback";
import { Block } from "#/ui/page";
import { Time } from "#/ui/time";
import { toast } from "#/ui/toast";
import { AsOf } from "./as-of";
import { jobName } from "./job-name";
import { deadJobsQuery, jobKindsQuery, jobsKey, removeJob, retryJob } from "./jobs";

export function DeadLetters() {
  const { t } = useTranslation();
  const dead = useInfiniteQuery(deadJobsQuery);
  const kinds = useQuery(jobKindsQuery);
  const items = dead.data?.items;
  return (
    <Block title={t("operations.deadLetters")} text={t("operations.deadLettersText")}>
      {dead.error && !items ? (
        <ErrorBox error={dead.error} retry={() => void dead.refetch()} />
      ) : items ? (
        <>
          <AsOf read={dead} />
          {kinds.data ? (
            <ul className="mb-2 text-muted">
              {kinds.data.items.map(({ kind, waiting, running, dead: given }) => (
                <li key={kind}>
                  {t("operations.jobCounts", { name: jobName(t, kind), waiting, running, dead: given })}
                </li>
              ))}
            </ul>
          ) : null}
          {items.length === 0 ? <p className="text-muted">{t("operations.noDeadLetters")}</p> : null}
          <ul className="divide-y divide-line border-y border-line empty:border-0">
            {items.map((job) => (
              <Letter key={job.id} job={job} />
            ))}
          </ul>
          {dead.hasNextPage ? (
            <div className="pt-2">
              <Button busy={dead.isFetchingNextPage} onClick={() => void dead.fetchNextPage()}>
                {t("common.more")}
              </Button>
            </div>
          ) : null}
        </>
      ) : (
        <SkeletonLines lines={2} />
      )}
    </Block>
  );
}

function Letter({ job }: { job: Job }) {
  const { t } = useTranslation();
  const { can } = useAuth();
  const client = useQueryClient();
  const [removing, setRemoving] = useState(false);
  const remove = useRef<HTMLButtonElement>(null);
  const refresh = () => client.invalidateQueries({ queryKey: jobsKey });
  const retry = useMutation({
    mutationFn: () => retryJob(job.id),
    onSuccess: () => {
      toast(t("operations.retried"));
      return refresh();
    },
    onError: (error) => {
      // The button that had the focus goes away.
      if (isRefused(error)) remove.current?.focus();
    },
  });
  const refused = isRefused(retry.error);
  const name = jobName(t, job.kind);
  const about = job.key?.replace(`${job.kind} `, "");
  return (
    <li className="flex flex-wrap items-start gap-x-4 gap-y-1 py-2">
      <div className="min-w-0 flex-1 basis-60">
        <p className="break-words">{about ? `${name}: ${about}` : name}</p>
        <p className="text-xs text-muted">
          {job.since ? <Time at={job.since} /> : null} · {t("operations.attempts", { count: job.attempts })}
        </p>
        {job.error ? <p className="break-words text-down-text">{job.error}</p> : null}
        {retry.error ? <ErrorBox error={retry.error} /> : null}
        {refused ? <p className="mt-1 text-xs text-muted">{t("operations.retryLater")}</p> : null}
      </div>
      {can("settings:write") ? (
        <div className="flex gap-2">
          {refused ? null : (
            <Button busy={retry.isPending} onClick={() => retry.mutate()}>
              {t("operations.retry")}
            </Button>
          )}
          <Button ref={remove} onClick={() => setRemoving(true)}>
            {t("common.delete")}
          </Button>
        </div>
      ) : null}
      {removing ? (
        <Confirm
          title={t("operations.removeTitle")}
          text={t("operations.removeText")}
          action={t("common.delete")}
          work={async () => {
            await removeJob(job.id);
            await refresh();
          }}
          onClose={() => setRemoving(false)}
        />
      ) : null}
    </li>
  );
}

/** The server cannot retry this job, such as one whose scan is gone. Its reason says whether that may change. */
function isRefused(error: unknown): boolean {
  return error instanceof ApiError && error.status === 409;
}
