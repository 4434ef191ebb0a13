import type { FieldValues, Path, UseFormSetError } from "react-hook-form";
import { ApiError } from "#/api/client";

/**
 * Puts the server's reasons beside their fields. Answers what no field could take, to be shown above the form: an error
 * is never swallowed.
 */
export function placeErrors<T extends FieldValues>(
  error: unknown,
  fields: readonly Path<T>[],
  setError: UseFormSetError<T>,
): unknown {
  if (!(error instanceof ApiError)) return error;
  const reasons = Object.entries(error.fields).map(([name, reason]) => ({
    name,
    reason,
    at: fields.findIndex(
      (known) => known === name || name.startsWith(`${known}.`) || name.startsWith(`${known}[`),
    ),
  }));
  const rest = reasons.filter(({ at }) => at < 0).map(({ name, reason }) => `${name}: ${reason}`);
  let placed = false;
  // In the order of the form: the first of its fields that is wrong gets the focus.
  for (const { reason, at } of reasons.sort((a, b) => a.at - b.at)) {
    const field = fields[at];
    if (!field) continue;
    setError(field, { message: reason }, { shouldFocus: !placed });
    placed = true;
  }
  if (rest.length > 0)
    return new ApiError(error.status, { ...error.problem, detail: rest.join(" "), errors: [] });
  return placed ? null : error;
}
