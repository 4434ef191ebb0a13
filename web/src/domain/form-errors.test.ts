import { expect, it, vi } from "vitest";
import { ApiError } from "#/api/client";
import { placeErrors } from "./form-errors";

const refused = (...errors: [field: string, reason: string][]) =>
  new ApiError(422, { errors: errors.map(([field, reason]) => ({ field, reason })) });

it("gives the focus to the first wrong field of the form, in whatever order the server judges", () => {
  const setError = vi.fn();
  const error = refused(["port", "is no port"], ["hosts[1]", "is no host"], ["name", "is empty"]);
  expect(placeErrors(error, ["name", "hosts", "port"], setError)).toBeNull();
  expect(setError.mock.calls).toEqual([
    ["name", { message: "is empty" }, { shouldFocus: true }],
    ["hosts", { message: "is no host" }, { shouldFocus: false }],
    ["port", { message: "is no port" }, { shouldFocus: false }],
  ]);
});

it("swallows no error of a field that the form does not have", () => {
  const setError = vi.fn();
  const left = placeErrors(refused(["other", "is wrong"], ["name", "is empty"]), ["name"], setError);
  expect(left).toMatchObject({ message: "other: is wrong" });
  expect(setError).toHaveBeenCalledOnce();
});
