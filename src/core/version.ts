// The version of this program, as package.json has it.
import { readFileSync } from "node:fs";

/** Read once by whoever starts the program. Both src/ and dist/ lie beside package.json. */
export function readVersion(): string {
  const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  const { version } = JSON.parse(text) as { version: string }; // our own file
  return version;
}
