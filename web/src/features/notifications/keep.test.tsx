import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { renderHook } from "@testing-library/react";
import type { ReactNode } from "react";
import { expect, it } from "vitest";
import { useKeep } from "./keep";

it("a secret is shown, and not kept", () => {
  const client = new QueryClient();
  const wrapper = ({ children }: { children: ReactNode }) => (
    <QueryClientProvider client={client}>{children}</QueryClientProvider>
  );
  const { result } = renderHook(() => useKeep(["webhooks"]), { wrapper });
  result.current({ id: "1", secret: "whsec_x" });
  expect(client.getQueryData(["webhooks", "one", "1"])).toEqual({ id: "1", secret: null });
});
