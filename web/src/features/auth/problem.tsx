/** Why signing in by a provider did not work, in words and with what to do. The code comes in the address of /login. */
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { meQuery, methodsQuery } from "#/api/session";
import { useTranslation } from "#/i18n";
import { buttonClass } from "#/ui/button";
import { ErrorBox } from "#/ui/feedback";
import type { SignInProblem } from "./problems";

export function ProblemBox({ problem, provider }: { problem: SignInProblem; provider?: string }) {
  const { t } = useTranslation();
  const methods = useQuery(methodsQuery);
  // Whoever was connecting an account has a session still.
  const me = useQuery(meQuery);
  // The name stands in the address, where anybody can write: only one that the server knows is repeated.
  const known = methods.data?.providers.find(({ name }) => name === provider);
  return (
    <div className="mb-4 flex flex-col items-start gap-3">
      <ErrorBox
        className="w-full"
        error={new Error(t(`problem.${problem}`, { provider: known?.name ?? t("problem.provider") }))}
      />
      {me.data ? (
        <Link to="/account" className={buttonClass()}>
          {t("problem.back", { name: me.data.user.username })}
        </Link>
      ) : null}
    </div>
  );
}
