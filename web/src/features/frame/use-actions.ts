/** The actions of the palette: those of the shared list, and those that are done at once. Only what the role may do. */
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { CheckCheck, LogOut, Monitor, Moon, RefreshCw, Sun, UserCog } from "lucide-react";
import { http, take } from "#/api/client";
import { rotateVaultKey } from "#/api/queries";
import { useAuth } from "#/api/session";
import { openings } from "#/domain/actions";
import { addWords, useTranslation } from "#/i18n";
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
import { toast } from "#/ui/toast";
import { signOutSaid } from "./sign-out";

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

/** As many as the server takes at a time, and as often as there can be findings. */
const AT_ONCE = 500;
const ROUNDS = 100;

/** Accepts every open finding; answers how many. */
async function acceptAll(): Promise<number> {
  let accepted = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const query = { state: "open", limit: AT_ONCE } as const;
    const { items } = await take(http.GET("/api/v1/findings", { params: { query } }));
    if (items.length === 0) break;
    const ids = items.map(({ id }) => id);
    const answer = await take(http.POST("/api/v1/findings/accept", { body: { ids } }));
    accepted += answer.accepted.length;
    // What cannot be accepted would come again and again.
    if (answer.accepted.length === 0) break;
  }
  return accepted;
}

export function useActions(onAsk: (question: Question) => void) {
  const { t } = useTranslation();
  const { can, signOut } = useAuth();
  const client = useQueryClient();
  const navigate = useNavigate();
  const accepts = can("discovery:write") && can("inventory:write");
  const waiting = useQuery({
    queryKey: ["findings", "waiting"],
    queryFn: async () =>
      (await take(http.GET("/api/v1/findings", { params: { query: { state: "open", limit: 1 } } }))).total ??
      0,
    enabled: accepts,
  });
  const count = waiting.data ?? 0;
  const acceptWords = t("findings.acceptAll", { count });
  return [
    ...openings
      .filter(({ needs }) => can(needs))
      .map(({ id, words, page, icon, to, search }) => ({
        id,
        label: t(words),
        place: t(page),
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
                  toast(t("findings.acceptedMany", { count: await acceptAll() }));
                  void client.invalidateQueries();
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
      icon,
      run: () => setTheme(theme),
    })),
    {
      id: "account",
      label: t("frame.ownAccount"),
      icon: UserCog,
      run: () => void navigate({ to: "/account" }),
    },
    { id: "signOut", label: t("frame.signOut"), icon: LogOut, run: () => leave(() => signOutSaid(signOut)) },
  ];
}
