/** The actions of the palette: those of the shared list, and those that are done at once. Only what the role may do. */
import { useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { CheckCheck, LogOut, Monitor, Moon, RefreshCw, Sun, UserCog } from "lucide-react";
import { http, take } from "#/api/client";
import { rotateVaultKey } from "#/api/queries";
import { useAuth } from "#/api/session";
import { type Opening, openings } from "#/domain/actions";
import { refreshAfterReview, undoReview } from "#/domain/undo-review";
import { addWords, useTranslation } from "#/i18n";
import accountWords from "#/i18n/en/account.json";
import auditWords from "#/i18n/en/audit.json";
import channelWords from "#/i18n/en/channels.json";
import credentialWords from "#/i18n/en/credentials.json";
import discoveryWords from "#/i18n/en/discovery.json";
import hookWords from "#/i18n/en/hooks.json";
import inventoryWords from "#/i18n/en/inventory.json";
import networkWords from "#/i18n/en/networks.json";
import providerWords from "#/i18n/en/providers.json";
import userWords from "#/i18n/en/users.json";
import vaultWords from "#/i18n/en/vault.json";
import webhookWords from "#/i18n/en/webhooks.json";
import { leave } from "#/ui/guard";
import { setTheme } from "#/ui/theme";
import { toast, UNDO_MS } from "#/ui/toast";
import type { Line } from "./lines";
import { useWaiting } from "./review";
import { signOutSaid } from "./sign-out";

addWords(accountWords);
addWords(auditWords);
addWords(channelWords);
addWords(credentialWords);
addWords(discoveryWords);
addWords(hookWords);
addWords(inventoryWords);
addWords(networkWords);
addWords(providerWords);
addWords(userWords);
addWords(vaultWords);
addWords(webhookWords);

/** What is asked before something that many things depend on is done. */
export interface Question {
  title: string;
  text: string;
  work: () => Promise<void>;
}

export function useActions(onAsk: (question: Question) => void): Line[] {
  const { t } = useTranslation();
  const { can, signOut } = useAuth();
  const client = useQueryClient();
  const navigate = useNavigate();
  const accepts = can("discovery:write") && can("inventory:write");
  const count = useWaiting();
  async function acceptAll(seen: number): Promise<void> {
    const body = { filter: {}, count: seen };
    const { count, skipped, review_id } = await take(http.POST("/api/v1/findings/accept", { body }));
    await refreshAfterReview(client);
    const [first] = skipped;
    if (first)
      toast(t("findings.skipped", { count: skipped.length, reason: first.reason }), { tone: "error" });
    if (!review_id) return;
    toast(t("findings.did.accept", { count }), {
      ms: UNDO_MS,
      action: { label: t("common.undo"), run: () => void undoReview(client, review_id, t) },
    });
  }
  const acceptWords = t("findings.acceptAll", { count });
  return [
    ...openings
      .filter(({ needs }) => needs === null || can(needs))
      .map(({ id, words, page, also, icon, to, search }: Opening) => ({
        id,
        label: t(words),
        place: t(page),
        also: t(also),
        icon,
        run: () => void navigate({ to, search: search as never }),
      })),
    ...(accepts && count > 0
      ? [
          {
            id: "accept",
            label: acceptWords,
            place: t("pages.discovery"),
            icon: CheckCheck,
            run: () =>
              onAsk({
                title: acceptWords,
                text: t("palette.acceptText", { count }),
                work: async () => {
                  await acceptAll(count);
                },
              }),
          },
        ]
      : []),
    ...(can("vault:write")
      ? [
          {
            id: "rotate",
            label: t("vault.rotate"),
            place: t("palette.vaultKey"),
            icon: RefreshCw,
            run: () =>
              onAsk({
                title: t("vault.rotate"),
                text: t("palette.rotateText"),
                work: async () => {
                  await rotateVaultKey(client);
                  toast(t("vault.rotated"));
                },
              }),
          },
        ]
      : []),
    ...(
      [
        ["dark", Moon],
        ["light", Sun],
        ["system", Monitor],
      ] as const
    ).map(([theme, icon]) => ({
      id: `theme ${theme}`,
      label: `${t("frame.theme")}: ${t(`theme.${theme}`)}`,
      also: t("palette.also.theme"),
      icon,
      run: () => setTheme(theme),
    })),
    {
      id: "account",
      label: t("frame.ownAccount"),
      also: t("palette.also.account"),
      icon: UserCog,
      run: () => void navigate({ to: "/account" }),
    },
    {
      id: "signOut",
      label: t("frame.signOut"),
      also: t("palette.also.signOut"),
      icon: LogOut,
      run: () => leave(() => signOutSaid(signOut)),
    },
  ];
}
