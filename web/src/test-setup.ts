import { cleanup, configure } from "@testing-library/react";
import { afterEach } from "vitest";
import "#/i18n";

// What a test waits for comes within milliseconds, but not on a machine that is busy. Only a test that fails waits so long.
configure({ asyncUtilTimeout: 10_000 });

// What a test leaves under way meets a server that is there. On the network nobody answers, and then the server is away in the next test.
globalThis.fetch = async () => new Response("{}", { headers: { "Content-Type": "application/json" } });

afterEach(cleanup);
