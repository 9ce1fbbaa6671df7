// Finds the server that a command speaks to: the one named, the one of the settings file, or none, and then the command
// works on the data itself, under its lock.

import { HuiyuanError } from "../core/errors.ts";
import { readVersion } from "../core/version.ts";
import { loadSettings } from "../settings/load.ts";
import type { ServerSettings } from "../settings/schema/schema.ts";
import { type AdminClient, type Ask, createAdminClient } from "./admin-client.ts";
import type { Terminal } from "./terminal.ts";

/** Where the token is taken from when no settings file is read. */
export const ADMIN_TOKEN_VARIABLE = "HUIYUAN_ADMIN_TOKEN";

export interface Reached {
  readonly client: AdminClient;
  /** Finishes what was begun. */
  close(): Promise<void>;
}

export interface ReachOptions {
  readonly config: string;
  /** URL of an admin port; the settings file is not read then. */
  readonly admin?: string | undefined;
}

const PROBE_MS = 3_000;
// What a command has begun to fetch and to store may end.
const DRAIN_MS = 60_000;

/** Throws SettingsFaults, request_invalid where something else answers, and the codes of openService(). */
export async function reachServer(
  { config, admin }: ReachOptions,
  terminal: Terminal,
  alone: Alone = openData,
): Promise<Reached> {
  if (admin !== undefined) {
    const base = new URL(admin).origin;
    if (!(await isAnswering(base)))
      throw new HuiyuanError("request_invalid", `no server answers at ${base}: is it running?`);
    return over(base, process.env[ADMIN_TOKEN_VARIABLE]);
  }
  const { server, data } = await loadSettings(config, { env: process.env, needs: "address" });
  const base = baseOf(server);
  if (base !== undefined && (await isAnswering(base))) return over(base, server.adminToken);
  return alone({ config, base, data }, terminal);
}

/** What a command works with where no server answers. `base`: of the admin port; undefined where it is the system's choice. */
export type Alone = (
  place: { readonly config: string; readonly base: string | undefined; readonly data: string },
  terminal: Terminal,
) => Promise<Reached>;

function over(base: string, token: string | undefined): Reached {
  const headers = token === undefined || token === "" ? undefined : { Authorization: `Bearer ${token}` };
  const ask: Ask = async (path, init) => {
    try {
      return await fetch(`${base}${path}`, { ...init, headers: { ...init.headers, ...headers }, redirect: "error" });
    } catch (cause) {
      if (init.signal?.aborted === true) throw cause;
      throw new HuiyuanError("request_invalid", `the server at ${base} does not answer any more`, { cause });
    }
  };
  return { client: createAdminClient(ask), async close() {} };
}

const openData: Alone = async ({ config, base, data }, terminal) => {
  terminal.err.write(`no server answers at ${base ?? "the admin port"}; working on ${data} itself\n`);
  // The whole program, which a command that has a server does without.
  const [{ openService }, { createApi }, { createRequestIds }, { createLogger }] = await Promise.all([
    import("../wiring/service.ts"),
    import("../http/api/api.ts"),
    import("../http/wire/request-id.ts"),
    import("./logger.ts"),
  ]);
  const settings = await loadSettings(config, { env: process.env });
  const log = createLogger({ isInteractive: false, level: "warn", destination: terminal.err });
  const service = await openService({ settings, log, now: Date.now }).catch((error: unknown) => {
    if (!(error instanceof HuiyuanError) || error.code !== "data_locked") throw error;
    const where = base === undefined ? "adminPort is 0, so its address is not known" : `it does not answer at ${base}`;
    const message = `a server is running on ${settings.data}, but ${where}; name its admin port with --admin URL`;
    throw new HuiyuanError("data_locked", message, { cause: error });
  });
  const { registry } = service;
  // Ctrl-C ends the command's own requests.
  const { signal: stopping } = new AbortController();
  const api = createApi({
    registry,
    accounts: service.accounts,
    healthPath: () => settings.server.healthPath,
    now: Date.now,
    nextRequestId: createRequestIds(),
    stopping,
    version: readVersion(),
    log,
  });
  return {
    client: createAdminClient(async (path, init) => api.request(path, init, {})),
    async close() {
      await service.drain({ fillMs: DRAIN_MS, storeMs: DRAIN_MS });
      await service.close();
    },
  };
};

/** Undefined where the port is the system's choice. */
function baseOf({ adminHost, adminPort }: ServerSettings): string | undefined {
  if (adminPort === 0) return undefined;
  const host = { "0.0.0.0": "127.0.0.1", "::": "::1" }[adminHost] ?? adminHost;
  return `http://${host.includes(":") ? `[${host.replace(/^\[|\]$/g, "")}]` : host}:${adminPort}`;
}

/** False: nobody listens there. Throws request_invalid where something listens that is no huiyuan. */
async function isAnswering(base: string): Promise<boolean> {
  const fail = (found: string, cause?: unknown): never => {
    throw new HuiyuanError("request_invalid", `Cannot reach the server at ${base}: ${found}`, { cause });
  };
  let response: Response;
  try {
    response = await fetch(`${base}/healthz`, { signal: AbortSignal.timeout(PROBE_MS), redirect: "error" });
  } catch (error) {
    if (isRefused(error)) return false;
    return fail("there is no proper answer", error);
  }
  const health: unknown = await response.json().catch(() => undefined); // Then it is not ours.
  if ((health as { status?: unknown } | undefined)?.status === "alive") return true;
  return fail("another program listens there");
}

function isRefused(error: unknown): boolean {
  const cause = error instanceof Error ? error.cause : undefined;
  // Several addresses of a name were refused.
  const causes = cause instanceof AggregateError ? cause.errors : [cause];
  return causes.every((each) => (each as { code?: unknown } | undefined)?.code === "ECONNREFUSED");
}
