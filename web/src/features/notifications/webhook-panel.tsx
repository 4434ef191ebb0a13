import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { http, ifMatch, take } from "#/api/client";
import type { Webhook } from "#/api/schema";
import { useAuth } from "#/api/session";
import { Gone, isGone } from "#/domain/gone";
import { useTranslation } from "#/i18n";
import { Button } from "#/ui/button";
import { Confirm } from "#/ui/confirm";
import { ErrorBox, SkeletonLines } from "#/ui/feedback";
import { FromVersion } from "#/ui/guard";
import { Panel, Section } from "#/ui/panel";
import { Moment, Time } from "#/ui/time";
import { Controls } from "./controls";
import { Delete } from "./delete";
import { Deliveries } from "./deliveries";
import { Footer } from "./footer";
import { HealthText } from "./health-badge";
import { useKeep } from "./keep";
import { webhookQuery, webhooksKey } from "./queries";
import { WebhookFields } from "./webhook-form";

const FORM = "webhook-form";

export function NewWebhookPanel({
  onClose,
  onMade,
}: {
  onClose: () => void;
  onMade: (webhook: Webhook) => void;
}) {
  const { t } = useTranslation();
  const keep = useKeep<Webhook>(webhooksKey);
  const [busy, setBusy] = useState(false);
  return (
    <Panel
      title={t("webhook.add")}
      onClose={onClose}
      footer={<Footer form={FORM} busy={busy} onClose={onClose} />}
    >
      <WebhookFields
        id={FORM}
        writes
        onBusy={setBusy}
        onSaved={(made) => {
          keep(made);
          onMade(made);
        }}
      />
    </Panel>
  );
}

interface Props {
  id: string;
  onClose: () => void;
  /** A new secret came, and is shown this once. */
  onSecret: (webhook: Webhook) => void;
}

export function WebhookPanel({ id, onClose, onSecret }: Props) {
  const { t } = useTranslation();
  const { can } = useAuth();
  const keep = useKeep<Webhook>(webhooksKey);
  const webhook = useQuery(webhookQuery(id));
  const [busy, setBusy] = useState(false);
  const [asked, setAsked] = useState<"rotate" | "delete" | null>(null);
  const writes = can("notifications:write");
  const { data } = webhook;

  function keepAndShow(answer: Webhook): void {
    keep(answer);
    if (answer.secret) onSecret(answer);
  }

  if (isGone(webhook)) return <Gone kind="webhook" id={id} name={data?.name} onClose={onClose} />;
  return (
    <Panel
      title={data?.name ?? t("webhook.one")}
      subtitle={t("webhook.one")}
      onClose={onClose}
      footer={
        writes && data ? (
          <Footer form={FORM} busy={busy} onClose={onClose}>
            <Button look="danger" className="ml-auto" onClick={() => setAsked("delete")}>
              {t("common.delete")}
            </Button>
          </Footer>
        ) : undefined
      }
    >
      {data ? (
        <>
          <Section title={t("notification.state")}>
            <HealthText subscriber={data} />
            {writes ? (
              <Controls
                on={data.enabled && !data.disabled_at}
                test={() => take(http.POST("/api/v1/webhooks/{id}/test", { params: { path: { id } } }))}
                turn={async (enabled) =>
                  keepAndShow(
                    await take(
                      http.PATCH("/api/v1/webhooks/{id}", {
                        params: { path: { id } },
                        headers: ifMatch(data.version),
                        body: { enabled },
                      }),
                    ),
                  )
                }
              />
            ) : null}
          </Section>
          <Section title={t("notification.deliveries")}>
            <Deliveries subscriber={{ resource: "webhooks", id }} writes={writes} />
          </Section>
          <Section title={t("webhook.one")}>
            <FromVersion of={data}>
              {(held, saved) => (
                <WebhookFields
                  id={FORM}
                  webhook={held}
                  writes={writes}
                  onBusy={setBusy}
                  onSaved={(answer) => {
                    keepAndShow(answer);
                    saved(answer);
                  }}
                />
              )}
            </FromVersion>
          </Section>
          <Section
            title={t("notification.secret")}
            action={
              writes ? <Button onClick={() => setAsked("rotate")}>{t("notification.rotate")}</Button> : null
            }
          >
            <SecretAge webhook={data} />
          </Section>
        </>
      ) : webhook.error ? (
        <ErrorBox error={webhook.error} retry={() => void webhook.refetch()} />
      ) : (
        <SkeletonLines lines={8} />
      )}
      {asked === "rotate" && data ? (
        <Confirm
          title={t("notification.rotateOf", { name: data.name })}
          text={t("webhook.rotateText")}
          action={t("notification.rotate")}
          work={async () =>
            keepAndShow(await take(http.POST("/api/v1/webhooks/{id}/secret", { params: { path: { id } } })))
          }
          onClose={() => setAsked(null)}
        />
      ) : null}
      {asked === "delete" && data ? (
        <Delete
          of={data}
          resource={webhooksKey}
          text={t("webhook.deleteText")}
          work={() =>
            http.DELETE("/api/v1/webhooks/{id}", {
              params: { path: { id } },
              headers: ifMatch(data.version),
            })
          }
          onClose={() => setAsked(null)}
          onDeleted={onClose}
        />
      ) : null}
    </Panel>
  );
}

function SecretAge({ webhook }: { webhook: Webhook }) {
  const { t } = useTranslation();
  return (
    <div className="flex flex-col gap-1 text-muted">
      <p>
        {t("notification.secretSet")} <Time at={webhook.secret_changed_at} />
      </p>
      {webhook.has_previous_secret && webhook.previous_secret_until ? (
        <p>
          {t("webhook.bothSign")} <Moment at={webhook.previous_secret_until} />
        </p>
      ) : null}
      <p className="text-xs text-faint">{t("webhook.verify")}</p>
    </div>
  );
}
