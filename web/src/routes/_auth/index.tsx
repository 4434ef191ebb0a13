import { createFileRoute, redirect } from "@tanstack/react-router";

export const Route = createFileRoute("/_auth/")({
  staticData: { needs: null },
  beforeLoad: () => {
    throw redirect({ to: "/map" });
  },
});
