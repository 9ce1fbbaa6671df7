// Warns of settings that are valid and probably a mistake. Pure; faults, which stop the server, are found elsewhere.
import type { Settings } from "./schema/schema.ts";

/** One line each, for operators. */
export function settingsWarnings({ server }: Pick<Settings, "server">): readonly string[] {
  const { adminHosts, adminToken } = server;
  if (adminHosts.length === 0 || adminToken !== undefined) return [];
  return [
    "server.adminHosts is set without server.adminToken: everyone who reaches the proxy before the admin port may delete and purge",
  ];
}
