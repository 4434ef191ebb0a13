import type { useTranslation } from "#/i18n";

type Translate = ReturnType<typeof useTranslation>["t"];

/** What is wrong with a new username, by the server's rule; `true` when nothing is. */
export function usernameFault(typed: string, t: Translate): string | true {
  const name = typed.trim();
  if (name === "") return t("auth.usernameNeeded");
  return /^[a-z0-9._@-]{1,64}$/i.test(name) || t("auth.usernameHelp");
}
