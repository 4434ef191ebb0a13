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
  const rest: string[] = [];
  let placed = false;
  for (const [name, reason] of Object.entries(error.fields)) {
    const field = fields.find(
      (known) => known === name || name.startsWith(`${known}.`) || name.startsWith(`${known}[`),
    );
    if (field) {
      setError(field, { message: reason }, { shouldFocus: !placed });
      placed = true;
    } else rest.push(`${name}: ${reason}`);
  }
  if (rest.length > 0)
    return new ApiError(error.status, { ...error.problem, detail: rest.join("; "), errors: [] });
  return placed ? null : error;
}
