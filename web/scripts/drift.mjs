// Fails when src/api/schema.gen.ts is not what docs/openapi.json says.
import { readFileSync } from "node:fs";
import openapiTS, { astToString } from "openapi-typescript";

const source = new URL("../../docs/openapi.json", import.meta.url);
const generated = new URL("../src/api/schema.gen.ts", import.meta.url);

const wanted = astToString(await openapiTS(source));
const body = (text) => text.replace(/^\/\*\*[\s\S]*?\*\/\s*/, "").trim();
if (body(readFileSync(generated, "utf8")) !== body(wanted)) {
  console.error("src/api/schema.gen.ts is out of date: run `npm run gen` and commit the result");
  process.exit(1);
}
console.log("schema.gen.ts agrees with docs/openapi.json");
