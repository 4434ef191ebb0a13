import { createFileRoute } from "@tanstack/react-router";
import { OperationsPage } from "#/features/operations/page";

export const Route = createFileRoute("/_auth/settings_/operations")({
  staticData: { needs: "metrics:read" },
  component: OperationsPage,
});
