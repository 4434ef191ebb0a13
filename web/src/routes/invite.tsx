import { createFileRoute, redirect, useRouter } from "@tanstack/react-router";
import { setupQuery } from "#/api/session";
import { InvitePage } from "#/features/auth/invite";

export const Route = createFileRoute("/invite")({
  staticData: { needs: null },
  beforeLoad: async ({ context }) => {
    const setup = await context.queryClient.fetchQuery(setupQuery);
    if (setup.required) throw redirect({ to: "/setup" });
  },
  component: Invite,
});

function Invite() {
  const router = useRouter();
  return <InvitePage onDone={() => router.history.push("/map")} />;
}
