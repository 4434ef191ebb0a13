import { createFileRoute, redirect, useRouter } from "@tanstack/react-router";
import { setupQuery } from "#/api/session";
import { ownPath } from "#/domain/own-path";
import { LoginPage } from "#/features/auth/login";
import { problemIn, type SignInProblem } from "#/features/auth/problems";

interface LoginSearch {
  next?: string;
  problem?: SignInProblem;
  provider?: string;
}

export const Route = createFileRoute("/login")({
  staticData: { needs: null },
  validateSearch: (search: Record<string, unknown>): LoginSearch => ({
    next: ownPath(search.next),
    problem: problemIn(search.problem),
    provider: typeof search.provider === "string" ? search.provider : undefined,
  }),
  beforeLoad: async ({ context }) => {
    const setup = await context.queryClient.fetchQuery(setupQuery);
    if (setup.required) throw redirect({ to: "/setup" });
  },
  component: Login,
});

function Login() {
  const { next, problem, provider } = Route.useSearch();
  const router = useRouter();
  return (
    <LoginPage
      next={next}
      problem={problem}
      provider={provider}
      onDone={() => router.history.push(next ?? "/map")}
    />
  );
}
