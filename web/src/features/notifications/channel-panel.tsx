import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { http, ifMatch, take } from "#/api/client";
import type { Channel, ChannelKind } from "#/api/schema";
import { useAuth } from "#/api/session";
import { Gone, isGone } from "#/domain/gone";
import { useTranslation } from "#/i18n";
import { Button } from "#/ui/button";
import { ErrorBox, SkeletonLines } from "#/ui/feedback";
import { SelectField } from "#/ui/field";
import { FromVersion, useLeave } from "#/ui/guard";
import { Panel, Section } from "#/ui/panel";
import { ChannelFields } from "./channel-form";
import { Controls } from "./controls";
import { Delete } from "./delete";
import { Deliveries } from "./deliveries";
import { Footer } from "./footer";
import { HealthText } from "./health-badge";
import { useKeep } from "./keep";
import { channelKindsQuery, channelQuery, channelsKey } from "./queries";

const FORM = "channel-form";

export function NewChannelPanel({
  onClose,
  onMade,
}: {
  onClose: () => void;
  onMade: (channel: Channel) => void;
}) {
  const { t } = useTranslation();
  const keep = useKeep<Channel>(channelsKey);
  const kinds = useQuery(channelKindsQuery);
  const [busy, setBusy] = useState(false);
  const [chosen, setChosen] = useState<ChannelKind>("email");
  const kind = kinds.data?.find((one) => one.kind === chosen);
  // Another kind has other fields.
  const leave = useLeave();
  return (
    <Panel
      title={t("channel.add")}
      onClose={onClose}
      footer={<Footer form={FORM} busy={busy} onClose={onClose} />}
    >
      {kind ? (
        <div className="flex flex-col gap-4">
          <SelectField
            label={t("channel.kind")}
            value={chosen}
            onChange={(event) => {
              const next = event.target.value as ChannelKind;
              leave(() => setChosen(next));
            }}
          >
            {kinds.data?.map((one) => (
              <option key={one.kind} value={one.kind}>
                {one.title}
              </option>
            ))}
          </SelectField>
          <ChannelFields
            key={chosen}
            id={FORM}
            kind={kind}
            writes
            onBusy={setBusy}
            onSaved={(made) => {
              keep(made);
              onMade(made);
            }}
          />
        </div>
      ) : kinds.error ? (
        <ErrorBox error={kinds.error} retry={() => void kinds.refetch()} />
      ) : (
        <SkeletonLines lines={6} />
      )}
    </Panel>
  );
}

export function ChannelPanel({ id, onClose }: { id: string; onClose: () => void }) {
  const { t } = useTranslation();
  const { can } = useAuth();
  const keep = useKeep<Channel>(channelsKey);
  const kinds = useQuery(channelKindsQuery);
  const channel = useQuery(channelQuery(id));
  const [busy, setBusy] = useState(false);
  const [deleting, setDeleting] = useState(false);
  const writes = can("notifications:write");
  const { data } = channel;
  const kind = kinds.data?.find((one) => one.kind === data?.kind);
  const error = channel.error ?? kinds.error;

  if (isGone(channel)) return <Gone kind="channel" id={id} name={data?.name} onClose={onClose} />;
  return (
    <Panel
      title={data?.name ?? t("channel.one")}
      subtitle={kind && data ? [kind.title, data.to].filter(Boolean).join(" · ") : undefined}
      onClose={onClose}
      footer={
        writes && kind ? (
          <Footer form={FORM} busy={busy} onClose={onClose}>
            <Button look="danger" className="ml-auto" onClick={() => setDeleting(true)}>
              {t("common.delete")}
            </Button>
          </Footer>
        ) : undefined
      }
    >
      {data && kind ? (
        <>
          <Section title={t("notification.state")}>
            <HealthText subscriber={data} />
            {writes ? (
              <Controls
                on={data.enabled && !data.disabled_at}
                test={() => take(http.POST("/api/v1/channels/{id}/test", { params: { path: { id } } }))}
                turn={async (enabled) =>
                  keep(
                    await take(
                      http.PATCH("/api/v1/channels/{id}", {
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
            <Deliveries subscriber={{ resource: "channels", id }} writes={writes} />
          </Section>
          <Section title={t("channel.one")}>
            <FromVersion of={data}>
              {(held, saved) => (
                <ChannelFields
                  id={FORM}
                  kind={kind}
                  channel={held}
                  writes={writes}
                  onBusy={setBusy}
                  onSaved={(answer) => {
                    keep(answer);
                    saved(answer);
                  }}
                />
              )}
            </FromVersion>
          </Section>
        </>
      ) : error ? (
        <ErrorBox
          error={error}
          retry={() => {
            void channel.refetch();
            void kinds.refetch();
          }}
        />
      ) : (
        <SkeletonLines lines={8} />
      )}
      {deleting && data ? (
        <Delete
          of={data}
          resource={channelsKey}
          text={t("channel.deleteText")}
          work={() =>
            http.DELETE("/api/v1/channels/{id}", {
              params: { path: { id } },
              headers: ifMatch(data.version),
            })
          }
          onClose={() => setDeleting(false)}
          onDeleted={onClose}
        />
      ) : null}
    </Panel>
  );
}
