import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link2 } from "lucide-react";
import { useState } from "react";
import { http, take } from "#/api/client";
import type { Identity } from "#/api/schema";
import { continueSession, methodsQuery } from "#/api/session";
import { useTranslation } from "#/i18n";
import { Button } from "#/ui/button";
import { Confirm } from "#/ui/confirm";
import { ErrorBox, SkeletonLines } from "#/ui/feedback";
import { Day, Time } from "#/ui/time";
import { toast } from "#/ui/toast";
import { identitiesQuery } from "./queries";

/** Accounts elsewhere by which one signs in here. */
export function Identities() {
  const { t } = useTranslation();
  const client = useQueryClient();
  const identities = useQuery(identitiesQuery);
  const methods = useQuery(methodsQuery);
  const [removing, setRemoving] = useState<Identity | null>(null);
  const link = useMutation({
    mutationFn: (slug: string) =>
      take(http.POST("/api/v1/auth/oidc/{slug}/link", { params: { path: { slug } } })),
    onSuccess: ({ url }) => location.assign(url),
  });
  const error = identities.error ?? methods.error;
  if (error)
    return (
      <ErrorBox
        error={error}
        retry={() => {
          void identities.refetch();
          void methods.refetch();
        }}
      />
    );
  if (!identities.data || !methods.data) return <SkeletonLines lines={2} />;
  const linked = new Set(identities.data.map(({ provider }) => provider.slug));
  const open = methods.data.providers.filter(({ slug }) => !linked.has(slug));
  return (
    <>
      {link.error ? <ErrorBox error={link.error} className="mb-3" /> : null}
      {identities.data.length > 0 ? (
        <ul className="mb-3 divide-y divide-line border-y border-line">
          {identities.data.map((identity) => (
            <li key={identity.id} className="flex min-h-13 items-center gap-3 py-2">
              <Link2 aria-hidden className="size-5 shrink-0 text-muted" strokeWidth={1.5} />
              <div className="min-w-0 flex-1">
                <p className="flex flex-wrap items-baseline gap-x-2">
                  <span className="font-medium">{identity.provider.name}</span>
                  <span className="min-w-0 wrap-anywhere text-muted">
                    {identity.email ?? identity.subject}
                  </span>
                </p>
                <p className="flex flex-wrap gap-x-3 text-xs text-muted">
                  <span>
                    {t("account.linked")} <Day at={identity.linked_at} />
                  </span>
                  <span>
                    {identity.last_used_at ? (
                      <>
                        {t("token.used")} <Time at={identity.last_used_at} />
                      </>
                    ) : (
                      t("token.neverUsed")
                    )}
                  </span>
                </p>
              </div>
              <Button
                aria-label={t("account.unlinkOf", { name: identity.provider.name })}
                onClick={() => setRemoving(identity)}
              >
                {t("account.unlink")}
              </Button>
            </li>
          ))}
        </ul>
      ) : null}
      <div className="flex flex-wrap gap-2">
        {open.map(({ slug, name }) => (
          <Button key={slug} busy={link.isPending} onClick={() => link.mutate(slug)}>
            {t("account.link", { name })}
          </Button>
        ))}
      </div>
      {removing ? (
        <Confirm
          title={t("account.unlinkOf", { name: removing.provider.name })}
          text={t("account.unlinkText", { name: removing.provider.name })}
          action={t("account.unlink")}
          work={async () => {
            const params = { path: { id: removing.id } };
            continueSession(client, await take(http.DELETE("/api/v1/auth/identities/{id}", { params })));
            toast(t("account.unlinked", { name: removing.provider.name }));
            await client.invalidateQueries({ queryKey: identitiesQuery.queryKey });
          }}
          onClose={() => setRemoving(null)}
        />
      ) : null}
    </>
  );
}
