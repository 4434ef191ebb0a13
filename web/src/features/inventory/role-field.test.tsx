import { fireEvent, render, screen } from "@testing-library/react";
import { useState } from "react";
import { expect, it } from "vitest";
import { RoleField } from "./role-field";

let role = "";
function Field({ begin }: { begin: string }) {
  const [value, setValue] = useState(begin);
  role = value;
  return <RoleField value={value} onChange={setValue} />;
}
const select = () => screen.getByLabelText<HTMLSelectElement>("Role");

it("offers the roles in the words of the page, none of them raw", () => {
  render(<Field begin="access_point" />);
  expect(select().selectedOptions[0]?.text).toBe("Access point");
  const raw = [...select().options].filter(({ text }) => /^[a-z]|[_-]/.test(text));
  expect(raw.map(({ text }) => text)).toEqual([]);
  fireEvent.change(select(), { target: { value: "nas" } });
  expect(role).toBe("nas");
  fireEvent.change(select(), { target: { value: "" } });
  expect(role).toBe("");
});

it("takes a word of one's own, and shows the one that is there", () => {
  render(<Field begin="aquarium pump" />);
  const own = screen.getByLabelText<HTMLInputElement>("Name of the role");
  expect(own.value).toBe("aquarium pump");
  fireEvent.change(own, { target: { value: "" } });
  fireEvent.change(screen.getByLabelText("Name of the role"), { target: { value: "nas pump" } });
  expect(role).toBe("nas pump");
});
