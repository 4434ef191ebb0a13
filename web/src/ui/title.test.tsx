import { render } from "@testing-library/react";
import { expect, it } from "vitest";
import { PageHead } from "./page";
import { useInstanceName } from "./title";

function Whole({ name, page }: { name?: string; page?: string }) {
  useInstanceName(name);
  return page ? <PageHead title={page} /> : null;
}

it("names the page and the instance, and after signing out neither", () => {
  const { rerender, unmount } = render(<Whole page="Map" />);
  expect(document.title).toBe("Map · Circuit Breaker");
  rerender(<Whole page="Map" name="Attic" />);
  expect(document.title).toBe("Map · Attic");
  rerender(<Whole page="Settings" name="Attic" />);
  expect(document.title).toBe("Settings · Attic");
  rerender(<Whole name="Attic" />);
  expect(document.title).toBe("Attic");
  unmount();
  expect(document.title).toBe("Circuit Breaker");
});
