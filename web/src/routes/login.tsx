import { createFileRoute, redirect, useRouter } from "@tanstack/react-router";
import { setupQuery } from "#/api/session";
import { ownPath } from "#/domain/own-path";
import { LoginPage } from "#/features/auth/login";

export const Route = createFileRoute("/login")({
  validateSearch: (search: Record<string, unknown>): { next?: string } => ({ next: ownPath(search.next) }),
  beforeLoad: async ({ context }) => {
    const setup = await context.queryClient.fetchQuery(setupQuery);
    if (setup.required) throw redirect({ to: "/setup" });
  },
  component: Login,
});

function Login() {
  const { next } = Route.useSearch();
  const router = useRouter();
  return <LoginPage onDone={() => router.history.push(next ?? "/map")} />;
}
