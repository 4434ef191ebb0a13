import { useQuery } from "@tanstack/react-query";
import { ApiError, http } from "#/api/client";

/**
 * Whether the link that opened this page can still be used. Asking does not use it up. When the server gives no answer to
 * that, the page shows its form, and the server judges the link when the form is sent.
 */
export function useLink(purpose: "invite" | "reset", token: string): "asking" | "usable" | "used" {
  const { data, isLoading } = useQuery({
    queryKey: ["link", purpose, token],
    queryFn: async () => {
      try {
        await http.POST("/api/v1/auth/link", { body: { purpose, token } });
        return "usable";
      } catch (problem) {
        return isUsed(problem) ? "used" : "usable";
      }
    },
    enabled: token !== "",
    staleTime: Number.POSITIVE_INFINITY,
    // An answer is for one visit of the page.
    gcTime: 0,
    networkMode: "always",
  });
  return isLoading ? "asking" : (data ?? "usable");
}

export const isUsed = (problem: unknown): boolean => problem instanceof ApiError && problem.status === 403;
