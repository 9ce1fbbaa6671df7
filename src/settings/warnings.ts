// Tells operators of valid settings that are probably a mistake, and of changes that a running server cannot apply.
// Pure; faults, which stop the server, are found elsewhere.
import { isDeepStrictEqual } from "node:util";
import type { ServerSettings, Settings } from "./schema/schema.ts";

/** One line each, for operators. */
export function settingsWarnings({ server }: Pick<Settings, "server">): readonly string[] {
  const { adminHosts, adminToken } = server;
  if (adminHosts.length === 0 || adminToken !== undefined) return [];
  return [
    "server.adminHosts is set without server.adminToken: everyone who reaches the proxy before the admin port may delete and purge",
  ];
}

const SERVER_KEYS = ["host", "port", "adminHost", "adminPort", "workers"] as const satisfies (keyof ServerSettings)[];
const ROOT_KEYS = ["data", "store"] as const satisfies (keyof Settings)[];

/** Dotted paths (`server.port`, `data`, …) of changed settings that take effect only at the next start. */
export function settingsNeedingRestart(old: Settings, next: Settings): readonly string[] {
  return [
    ...SERVER_KEYS.filter((key) => old.server[key] !== next.server[key]).map((key) => `server.${key}`),
    ...ROOT_KEYS.filter((key) => !isDeepStrictEqual(old[key], next[key])),
  ];
}
