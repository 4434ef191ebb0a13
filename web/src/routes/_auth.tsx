import { createFileRoute, Outlet, redirect, useMatches, useNavigate } from "@tanstack/react-router";
import { useCallback } from "react";
import { ApiError } from "#/api/client";
import { AuthProvider, meQuery, useAuth } from "#/api/session";
import { ProofDialog } from "#/features/auth/proof";
import { Frame } from "#/features/frame/frame";
import { Guard } from "#/ui/guard-question";
import { NoAccess } from "#/ui/no-page";

/** The gate: everything below needs a session. */
export const Route = createFileRoute("/_auth")({
  staticData: { needs: null },
  beforeLoad: async ({ context, location }) => {
    try {
      await context.queryClient.ensureQueryData(meQuery);
    } catch (error) {
      if (error instanceof ApiError && error.setupRequired) throw redirect({ to: "/setup" });
      if (error instanceof ApiError && error.status === 401)
        throw redirect({ to: "/login", search: { next: location.href } });
      throw error;
    }
  },
  component: Gate,
});

/** The page, when the role may see it. */
function Page() {
  const { can } = useAuth();
  const needs = useMatches({ select: (matches) => matches.at(-1)?.staticData.needs ?? null });
  return needs === null || can(needs) ? <Outlet /> : <NoAccess />;
}

function Gate() {
  const navigate = useNavigate();
  const leave = useCallback(() => navigate({ to: "/login" }), [navigate]);
  return (
    <AuthProvider onSignedOut={leave}>
      <Frame>
        <Page />
      </Frame>
      <ProofDialog />
      <Guard />
    </AuthProvider>
  );
}
