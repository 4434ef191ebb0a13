import { createFileRoute, Outlet, redirect, useNavigate } from "@tanstack/react-router";
import { useCallback } from "react";
import { ApiError } from "#/api/client";
import { AuthProvider, meQuery } from "#/api/session";
import { ProofDialog } from "#/features/auth/proof";
import { Frame } from "#/features/frame/frame";
import { Guard } from "#/ui/guard-question";

/** The gate: everything below needs a session. */
export const Route = createFileRoute("/_auth")({
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

function Gate() {
  const navigate = useNavigate();
  const leave = useCallback(() => navigate({ to: "/login" }), [navigate]);
  return (
    <AuthProvider onSignedOut={leave}>
      <Frame>
        <Outlet />
      </Frame>
      <ProofDialog />
      <Guard />
    </AuthProvider>
  );
}
