// The part of a settings file that a command needs to reach a running server. It is read without the schema, which
// takes most of the time of a short command.
import { dirname, resolve } from "node:path";
import { readDocument } from "./document.ts";
import { readingOutside, realOf, resolveSecret } from "./secret.ts";
import { readSmallFile, readSmallFileSync } from "./small-file.ts";

/** As in the schema of an address and of a token. */
const PRINTABLE = /^[!-~]+$/;

export interface ServerAddress {
  readonly adminHost: string;
  /** 0: the system chooses it. */
  readonly adminPort: number;
  readonly adminToken?: string | undefined;
}

export const DEFAULT_ADDRESS = { adminHost: "127.0.0.1", adminPort: 8081 } as const;
export const DEFAULT_DATA = "./data";

/** Undefined if anything is unusual: then loadSettings() finds the address, or says what is wrong. */
export async function readAddress(file: string, env: NodeJS.ProcessEnv): Promise<ServerAddress | undefined> {
  const text = await readSmallFile(file).catch(() => undefined);
  if (text === undefined) return undefined;
  const { tree, faults } = readDocument(text.toString("utf8"));
  const { server, data = DEFAULT_DATA } = (tree ?? {}) as { readonly server?: object; readonly data?: unknown };
  const { adminHost, adminPort, adminToken } = { ...DEFAULT_ADDRESS, ...server } as Partial<Record<string, unknown>>;
  if (faults.length > 0 || typeof data !== "string" || typeof adminPort !== "number") return undefined;
  if (typeof adminHost !== "string" || !PRINTABLE.test(adminHost)) return undefined;
  if (adminToken === undefined) return { adminHost, adminPort };
  if (typeof adminToken !== "string") return undefined;
  const folder = dirname(resolve(file));
  const readFile = readingOutside(realOf(resolve(folder, data)), readSmallFileSync);
  const secret = resolveSecret(adminToken, { env, readFile, folder });
  return typeof secret === "string" && PRINTABLE.test(secret)
    ? { adminHost, adminPort, adminToken: secret }
    : undefined;
}
