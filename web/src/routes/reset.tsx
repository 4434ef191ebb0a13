import { createFileRoute, redirect, useNavigate } from "@tanstack/react-router";
import { setupQuery } from "#/api/session";
import { ResetPage } from "#/features/auth/reset";

export const Route = createFileRoute("/reset")({
  staticData: { needs: null },
  beforeLoad: async ({ context }) => {
    const setup = await context.queryClient.fetchQuery(setupQuery);
    if (setup.required) throw redirect({ to: "/setup" });
  },
  component: Reset,
});

function Reset() {
  const navigate = useNavigate();
  return <ResetPage onDone={() => void navigate({ to: "/login", replace: true })} />;
}
