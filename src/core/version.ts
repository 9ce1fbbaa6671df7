// Reads the version of this program from package.json.
import { readFileSync } from "node:fs";

/** The program reads it once, at start. Both src/ and dist/ lie beside package.json. */
export function readVersion(): string {
  const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  const { version } = JSON.parse(text) as { version: string }; // our own file
  return version;
}
