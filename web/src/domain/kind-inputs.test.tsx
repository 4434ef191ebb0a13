import { render, screen } from "@testing-library/react";
import type { UseFormRegisterReturn } from "react-hook-form";
import { describe, expect, it } from "vitest";
import { fieldsOf } from "./kind-fields";
import { PublicInput, SecretInput } from "./kind-inputs";

const input = { name: "x", onChange: async () => {}, onBlur: async () => {}, ref: () => {} };
function field(name: string, schema: object) {
  const [one] = fieldsOf({ properties: { [name]: schema } });
  if (!one) throw new Error("a field");
  return one;
}
const show = (one: ReturnType<typeof field>, values = {}) =>
  render(<PublicInput field={one} values={values} input={input as UseFormRegisterReturn} />);

describe("the inputs of a kind", () => {
  it("have words for the server's choices, and show others as they are", () => {
    show(
      field("security", {
        title: "Secured by",
        description: "tls encrypts",
        enum: ["starttls", "tls", "none", "new"],
      }),
    );
    const options = screen.getAllByRole<HTMLOptionElement>("option");
    expect(options.map((one) => one.value)).toEqual(["starttls", "tls", "none", "new"]);
    expect(options.map((one) => one.textContent)).toEqual([
      "STARTTLS: encrypted after the greeting",
      "TLS: encrypted from the start",
      "Not encrypted",
      "new",
    ]);
    expect(screen.queryByText("tls encrypts")).toBeNull();
  });
  it("say which of them may stay empty, by the label and to a screen reader", () => {
    const optional = () => screen.getByRole("textbox").getAttribute("aria-describedby") ?? "";
    const { unmount } = show(field("topic", { title: "Topic" }));
    expect(document.getElementById(optional())?.textContent).toBe(" (optional)");
    unmount();
    const [needed] = fieldsOf({ properties: { topic: { title: "Topic" } }, required: ["topic"] });
    if (!needed) throw new Error("a field");
    show(needed);
    expect(optional()).toBe("");
    expect(screen.queryByText("(optional)")).toBeNull();
  });
  it("do not call the password optional of something that is switched on", () => {
    const secret = (values: Record<string, string>) => (
      <SecretInput
        field={field("auth_password", { title: "Authentication password" })}
        values={values}
        input={input as UseFormRegisterReturn}
      />
    );
    const { rerender } = render(secret({ auth: "sha256" }));
    expect(screen.queryByText("(optional)")).toBeNull();
    rerender(secret({}));
    screen.getByText("(optional)");
  });
  it("propose the port that is used when none is given", () => {
    const port = field("port", { title: "Port" });
    const { rerender } = show(port, { security: "tls" });
    const box = screen.getByLabelText<HTMLInputElement>("Port");
    expect(box.placeholder).toBe("465");
    rerender(
      <PublicInput field={port} values={{ security: "none" }} input={input as UseFormRegisterReturn} />,
    );
    expect(box.placeholder).toBe("25");
    rerender(<PublicInput field={port} input={input as UseFormRegisterReturn} />);
    expect(box.placeholder).toBe("");
  });
});
