import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Fingerprint, Pencil, Plus, Trash2 } from "lucide-react";
import { useState } from "react";
import { http, take } from "#/api/client";
import type { Passkey } from "#/api/schema";
import { continueSession, methodsQuery } from "#/api/session";
import { passkeysWork } from "#/domain/passkey";
import { useTranslation } from "#/i18n";
import { Button, IconButton } from "#/ui/button";
import { Confirm } from "#/ui/confirm";
import { Badge, ErrorBox, SkeletonLines } from "#/ui/feedback";
import { Day, Time } from "#/ui/time";
import { toast } from "#/ui/toast";
import { Codes } from "./codes";
import { NewPasskey, RenamePasskey } from "./passkey-forms";
import { passkeysQuery, sessionsQuery, totpQuery } from "./queries";

export function Passkeys({ open, onOpen }: { open: boolean; onOpen: (open: boolean) => void }) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const passkeys = useQuery(passkeysQuery);
  const methods = useQuery(methodsQuery);
  const [renaming, setRenaming] = useState<string | null>(null);
  const [removing, setRemoving] = useState<Passkey | null>(null);
  const [codes, setCodes] = useState<readonly string[]>([]);
  const refresh = async () => {
    void client.invalidateQueries({ queryKey: totpQuery.queryKey });
    void client.invalidateQueries({ queryKey: sessionsQuery.queryKey });
    await client.invalidateQueries({ queryKey: passkeysQuery.queryKey });
  };

  if (passkeys.error) return <ErrorBox error={passkeys.error} retry={() => void passkeys.refetch()} />;
  if (!passkeys.data) return <SkeletonLines lines={2} />;
  const obstacle = !passkeysWork()
    ? "account.passkeysUnsupported"
    : methods.data && !methods.data.passkeys
      ? "account.passkeysAddress"
      : null;
  return (
    <>
      {passkeys.data.length > 0 ? (
        <ul className="mb-3 divide-y divide-line border-y border-line">
          {passkeys.data.map((passkey) => (
            <li key={passkey.id} className="flex min-h-13 items-center gap-3 py-2">
              <Fingerprint aria-hidden className="size-5 shrink-0 text-muted" strokeWidth={1.5} />
              {renaming === passkey.id ? (
                <RenamePasskey
                  passkey={passkey}
                  onDone={async (saved) => {
                    if (saved) await refresh();
                    setRenaming(null);
                  }}
                />
              ) : (
                <>
                  <PasskeyFacts passkey={passkey} />
                  <IconButton
                    label={t("account.passkeyRename", { name: passkey.name })}
                    onClick={() => setRenaming(passkey.id)}
                  >
                    <Pencil aria-hidden className="size-4" />
                  </IconButton>
                  <IconButton
                    label={t("account.passkeyRemove", { name: passkey.name })}
                    onClick={() => setRemoving(passkey)}
                  >
                    <Trash2 aria-hidden className="size-4" />
                  </IconButton>
                </>
              )}
            </li>
          ))}
        </ul>
      ) : null}
      {obstacle ? (
        <p className="text-muted">{t(obstacle)}</p>
      ) : (
        <Button onClick={() => onOpen(true)}>
          <Plus aria-hidden className="size-4" />
          {t("account.passkeyAdd")}
        </Button>
      )}
      {open && !obstacle ? (
        <NewPasskey
          onClose={() => onOpen(false)}
          onMade={async (fresh, name) => {
            onOpen(false);
            setCodes(fresh);
            toast(t("account.passkeyAdded", { name }));
            await refresh();
          }}
        />
      ) : null}
      {codes.length > 0 ? <Codes codes={codes} onClose={() => setCodes([])} /> : null}
      {removing ? (
        <Confirm
          title={t("account.passkeyRemove", { name: removing.name })}
          text={t("account.passkeyRemoveText")}
          action={t("account.remove")}
          work={async () => {
            const path = { id: removing.id };
            continueSession(
              client,
              await take(http.DELETE("/api/v1/auth/passkeys/{id}", { params: { path } })),
            );
            toast(t("account.passkeyRemoved", { name: removing.name }));
            await refresh();
          }}
          onClose={() => setRemoving(null)}
        />
      ) : null}
    </>
  );
}

function PasskeyFacts({ passkey: { name, rp_id, created_at, last_used_at } }: { passkey: Passkey }) {
  const { t } = useTranslation();
  return (
    <div className="min-w-0 flex-1">
      <p className="flex flex-wrap items-center gap-x-2 gap-y-1">
        <span className="font-medium break-words">{name}</span>
        {rp_id && rp_id !== location.hostname ? (
          <Badge>{t("account.passkeyFor", { host: rp_id })}</Badge>
        ) : null}
      </p>
      <p className="flex flex-wrap gap-x-3 text-xs text-muted">
        <span>
          {t("account.added")} <Day at={created_at} />
        </span>
        <span>
          {last_used_at ? (
            <>
              {t("token.used")} <Time at={last_used_at} />
            </>
          ) : (
            t("token.neverUsed")
          )}
        </span>
      </p>
    </div>
  );
}
