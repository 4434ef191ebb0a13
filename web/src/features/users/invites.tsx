import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { MailOpen } from "lucide-react";
import { http } from "#/api/client";
import { useAuth } from "#/api/session";
import { useTranslation } from "#/i18n";
import { Button } from "#/ui/button";
import { Badge, Empty, ErrorBox, SkeletonLines } from "#/ui/feedback";
import { Day, Time } from "#/ui/time";
import { invitesQuery } from "./queries";

export function Invites() {
  const { t } = useTranslation();
  const { can } = useAuth();
  const client = useQueryClient();
  const invites = useQuery(invitesQuery);
  const withdraw = useMutation({
    mutationFn: (id: string) => http.DELETE("/api/v1/invites/{id}", { params: { path: { id } } }),
    onSettled: () => client.invalidateQueries({ queryKey: invitesQuery.queryKey }),
  });
  return (
    <section
      className="min-h-0 flex-1 overflow-y-auto p-4"
      // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must be reachable by keyboard
      tabIndex={0}
      aria-label={t("users.tab.invites")}
    >
      {withdraw.error ? <ErrorBox error={withdraw.error} className="mb-3" /> : null}
      {invites.error ? (
        <ErrorBox error={invites.error} retry={() => void invites.refetch()} />
      ) : !invites.data ? (
        <SkeletonLines lines={3} />
      ) : invites.data.length === 0 ? (
        <Empty icon={<MailOpen aria-hidden />} title={t("users.noInvites")}>
          {t("users.noInvitesText")}
        </Empty>
      ) : (
        <ul className="max-w-2xl divide-y divide-line border-y border-line">
          {invites.data.map((invite) => (
            <li key={invite.id} className="flex items-center gap-3 py-2.5">
              <div className="min-w-0 flex-1">
                <p className="flex flex-wrap items-center gap-2">
                  <span className="truncate font-medium">{invite.email ?? t("users.anybody")}</span>
                  <Badge>{t(`roles.${invite.role}`)}</Badge>
                </p>
                <p className="flex flex-wrap gap-x-3 text-xs text-muted">
                  <span>{t("users.invitedBy", { name: invite.invited_by })}</span>
                  <Time at={invite.created_at} />
                  <span>
                    {t("users.linkUntil")} <Day at={invite.expires_at} />
                  </span>
                </p>
              </div>
              {can("users:write") ? (
                <Button
                  busy={withdraw.isPending && withdraw.variables === invite.id}
                  aria-label={t("users.withdrawOf", { name: invite.email ?? t(`roles.${invite.role}`) })}
                  onClick={() => withdraw.mutate(invite.id)}
                >
                  {t("users.withdraw")}
                </Button>
              ) : null}
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}
