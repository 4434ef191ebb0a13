/** One's own account: the ways to sign in, sessions, API tokens. */
import { useQuery } from "@tanstack/react-query";
import { useEffect } from "react";
import { methodsQuery, useAuth } from "#/api/session";
import { addWords, useTranslation } from "#/i18n";
import words from "#/i18n/en/account.json";
import { Block, Blocks, PageHead } from "#/ui/page";
import { toast } from "#/ui/toast";
import { RecoveryCodes } from "./codes";
import { Identities } from "./identities";
import { Passkeys } from "./passkeys";
import { Password } from "./password";
import { identitiesQuery, passkeysQuery, totpQuery } from "./queries";
import { Sessions } from "./sessions";
import { Tokens } from "./tokens";
import { TwoFactor } from "./two-factor";

addWords(words);

export interface AccountSearch {
  /** The provider whose account was connected a moment ago. */
  linked?: string;
  /** What is open, or to be done next. */
  panel?: "password" | "twoFactor" | "passkey" | "token";
}

export function AccountPage({ search, go }: { search: AccountSearch; go: (next: AccountSearch) => void }) {
  const { t } = useTranslation();
  const { me } = useAuth();
  const methods = useQuery(methodsQuery);
  const identities = useQuery(identitiesQuery);
  const totp = useQuery(totpQuery);
  const passkeys = useQuery(passkeysQuery);
  const elsewhere = !!methods.data?.providers.length || !!identities.data?.length;
  const hasCodes = totp.data?.enabled || !!totp.data?.recovery_codes_left || !!passkeys.data?.length;
  useJustLinked(search.linked, go);
  const opening = (panel: NonNullable<AccountSearch["panel"]>) => ({
    open: search.panel === panel,
    onOpen: (open: boolean) => go({ ...search, panel: open ? panel : undefined }),
  });
  return (
    <>
      <PageHead title={t("pages.account")} count={`${me.user.username}, ${t(`roles.${me.user.role}`)}`} />
      <Blocks label={t("pages.account")}>
        <Block
          title={t("account.password")}
          text={t(me.user.has_password ? "account.passwordText" : "account.noPasswordText")}
        >
          <Password {...opening("password")} />
        </Block>
        <Block title={t("account.passkeys")} text={t("account.passkeysText")}>
          <Passkeys {...opening("passkey")} />
        </Block>
        <Block
          title={t("account.twoFactor")}
          text={t("account.twoFactorText")}
          wanted={search.panel === "twoFactor"}
        >
          <TwoFactor />
        </Block>
        {hasCodes ? (
          <Block title={t("account.codes")} text={t("account.codesWhat")}>
            <RecoveryCodes />
          </Block>
        ) : null}
        {elsewhere ? (
          <Block title={t("account.identities")} text={t("account.identitiesText")}>
            <Identities />
          </Block>
        ) : null}
        <Block title={t("session.title")} text={t("account.sessionsText")}>
          <Sessions />
        </Block>
        <Block title={t("account.tokens")} text={t("account.tokensText")}>
          <Tokens {...opening("token")} />
        </Block>
      </Blocks>
    </>
  );
}

/** Says it once, when the provider has sent the browser back. */
function useJustLinked(slug: string | undefined, go: (next: AccountSearch) => void): void {
  const { t } = useTranslation();
  const identities = useQuery(identitiesQuery);
  const name = identities.data?.find(({ provider }) => provider.slug === slug)?.provider.name;
  useEffect(() => {
    if (!slug || !name) return;
    toast(t("account.justLinked", { name }));
    go({});
  }, [slug, name, t, go]);
}
