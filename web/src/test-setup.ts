import { cleanup, configure } from "@testing-library/react";
import { afterEach } from "vitest";
import "#/i18n";

// What a test waits for comes within milliseconds, but not on a machine that is busy. Only a test that fails waits so long.
configure({ asyncUtilTimeout: 10_000 });

afterEach(cleanup);
