import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { http } from "#/api/client";
import type { OpenSession } from "#/api/schema";
import { SessionList } from "#/domain/session-list";
import { useTranslation } from "#/i18n";
import { Button } from "#/ui/button";
import { ErrorBox, SkeletonLines } from "#/ui/feedback";
import { toast } from "#/ui/toast";
import { sessionsQuery } from "./queries";

export function Sessions() {
  const { t } = useTranslation();
  const client = useQueryClient();
  const sessions = useQuery(sessionsQuery);
  const settle = () => client.invalidateQueries({ queryKey: sessionsQuery.queryKey });
  const end = useMutation({
    mutationFn: ({ id }: OpenSession) =>
      http.DELETE("/api/v1/auth/sessions/{id}", { params: { path: { id } } }),
    onSettled: settle,
  });
  const endOthers = useMutation({
    mutationFn: () => http.DELETE("/api/v1/auth/sessions", {}),
    onSuccess: () => toast(t("session.othersEnded")),
    onSettled: settle,
  });

  if (sessions.error) return <ErrorBox error={sessions.error} retry={() => void sessions.refetch()} />;
  if (!sessions.data) return <SkeletonLines lines={3} />;
  const rows = [...sessions.data].sort((a, b) => Number(b.current) - Number(a.current));
  const error = end.error ?? endOthers.error;
  return (
    <>
      {error ? <ErrorBox error={error} className="mb-3" /> : null}
      <SessionList
        sessions={rows}
        action={(session, device) =>
          session.current ? null : (
            <Button
              aria-label={t("session.endOf", { device })}
              busy={end.isPending && end.variables.id === session.id}
              onClick={() => end.mutate(session)}
            >
              {t("session.end")}
            </Button>
          )
        }
      />
      {rows.length > 1 ? (
        <Button className="mt-3" busy={endOthers.isPending} onClick={() => endOthers.mutate()}>
          {t("session.endOthers")}
        </Button>
      ) : null}
    </>
  );
}
