/** One's own account: password, second factor, sessions, API tokens. */

import { useAuth } from "#/api/session";
import { addWords, useTranslation } from "#/i18n";
import words from "#/i18n/en/account.json";
import { Block, Blocks, PageHead } from "#/ui/page";
import { Password } from "./password";
import { Sessions } from "./sessions";
import { Tokens } from "./tokens";
import { TwoFactor } from "./two-factor";

addWords(words);

export function AccountPage() {
  const { t } = useTranslation();
  const { me } = useAuth();
  return (
    <>
      <PageHead title={t("pages.account")} count={`${me.user.username}, ${t(`roles.${me.user.role}`)}`} />
      <Blocks label={t("pages.account")}>
        <Block title={t("account.password")} text={t("account.passwordText")}>
          <Password />
        </Block>
        <Block title={t("account.twoFactor")} text={t("account.twoFactorText")}>
          <TwoFactor />
        </Block>
        <Block title={t("session.title")} text={t("account.sessionsText")}>
          <Sessions />
        </Block>
        <Block title={t("account.tokens")} text={t("account.tokensText")}>
          <Tokens />
        </Block>
      </Blocks>
    </>
  );
}
