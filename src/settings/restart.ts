// Finds changes of the settings that a running server cannot apply. Pure.
import { isDeepStrictEqual } from "node:util";
import type { ServerSettings, Settings } from "./schema/schema.ts";

const SERVER_KEYS = ["host", "port", "adminHost", "adminPort", "workers"] as const satisfies (keyof ServerSettings)[];
const ROOT_KEYS = ["data", "store"] as const satisfies (keyof Settings)[];

/** Dotted paths (`server.port`, `data`, …) of changed settings that take effect only at the next start. */
export function settingsNeedingRestart(old: Settings, next: Settings): readonly string[] {
  return [
    ...SERVER_KEYS.filter((key) => old.server[key] !== next.server[key]).map((key) => `server.${key}`),
    ...ROOT_KEYS.filter((key) => !isDeepStrictEqual(old[key], next[key])),
  ];
}
