import { createFileRoute, redirect, useNavigate } from "@tanstack/react-router";
import { AuthProvider, meQuery, setupQuery } from "#/api/session";
import { SetupAdmin } from "#/features/auth/setup";
import { FirstScan } from "#/features/discovery/first-scan";

export const Route = createFileRoute("/setup")({
  staticData: { needs: null },
  validateSearch: (search: Record<string, unknown>): { step?: "network" } =>
    search.step === "network" ? { step: "network" } : {},
  beforeLoad: async ({ context, search }) => {
    if (search.step === "network") {
      const me = await context.queryClient.ensureQueryData(meQuery).catch(() => null);
      if (!me) throw redirect({ to: "/login" });
      return;
    }
    const setup = await context.queryClient.fetchQuery(setupQuery);
    if (!setup.required) throw redirect({ to: "/login" });
  },
  component: Setup,
});

function Setup() {
  const { step } = Route.useSearch();
  const navigate = useNavigate();
  if (step === "network") {
    return (
      <AuthProvider onSignedOut={() => navigate({ to: "/login" })}>
        <FirstScan
          onStarted={() => void navigate({ to: "/discovery" })}
          onLater={() => void navigate({ to: "/map" })}
        />
      </AuthProvider>
    );
  }
  return (
    <SetupAdmin
      onDone={() => void navigate({ to: "/setup", search: { step: "network" }, replace: true })}
      onAlreadyDone={() => void navigate({ to: "/login" })}
    />
  );
}
