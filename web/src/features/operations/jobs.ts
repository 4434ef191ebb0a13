import { queryOptions } from "@tanstack/react-query";
import { http, take } from "#/api/client";
import { pagedQuery } from "#/api/pages";
import { operationsKey } from "#/api/queries";

export const jobsKey = [...operationsKey, "jobs"] as const;

export const deadJobsQuery = {
  ...pagedQuery([...jobsKey, "dead"], (cursor) =>
    take(http.GET("/api/v1/operations/jobs", { params: { query: { state: "dead", cursor } } })),
  ),
  refetchInterval: 30_000,
};

export const jobKindsQuery = queryOptions({
  queryKey: [...jobsKey, "kinds"],
  queryFn: () => take(http.GET("/api/v1/operations/job-kinds")),
  refetchInterval: 30_000,
});

// Both answer without a body.
export async function retryJob(id: string): Promise<void> {
  await http.POST("/api/v1/operations/jobs/{id}/retry", { params: { path: { id } } });
}

export async function removeJob(id: string): Promise<void> {
  await http.DELETE("/api/v1/operations/jobs/{id}", { params: { path: { id } } });
}
