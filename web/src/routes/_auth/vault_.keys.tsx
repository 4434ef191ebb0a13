import { createFileRoute } from "@tanstack/react-router";
import { VaultKeysPage } from "#/features/vault/page";

export const Route = createFileRoute("/_auth/vault_/keys")({
  staticData: { needs: "vault:read" },
  component: VaultKeysPage,
});
