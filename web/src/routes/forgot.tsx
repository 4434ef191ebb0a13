import { createFileRoute, redirect } from "@tanstack/react-router";
import { setupQuery } from "#/api/session";
import { ForgotPage } from "#/features/auth/forgot";

export const Route = createFileRoute("/forgot")({
  staticData: { needs: null },
  beforeLoad: async ({ context }) => {
    const setup = await context.queryClient.fetchQuery(setupQuery);
    if (setup.required) throw redirect({ to: "/setup" });
  },
  component: ForgotPage,
});
