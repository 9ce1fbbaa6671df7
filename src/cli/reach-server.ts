// Finds the server of a command: the one of --admin, or the one of the settings file. If none answers, it opens the
// data folder in this process, under its lock.
import { HuiyuanError } from "../core/errors.ts";
import { readVersion } from "../core/version.ts";
import { loadSettings } from "../settings/load.ts";
import type { ServerSettings } from "../settings/schema/schema.ts";
import { type AdminClient, createAdminClient, type SendRequest } from "./admin-client.ts";
import type { Terminal } from "./terminal.ts";

/** Environment variable of the token if no settings file is read. */
export const ADMIN_TOKEN_VARIABLE = "HUIYUAN_ADMIN_TOKEN";

export interface Reached {
  readonly client: AdminClient;
  /** Waits for started work, then closes. */
  close(): Promise<void>;
}

export interface ReachOptions {
  readonly config: string;
  /** URL of an admin port. With it, the settings file is not read. */
  readonly admin?: string | undefined;
}

const PROBE_MS = 3_000;
// Time for started fetches and pending writes to end.
const DRAIN_MS = 60_000;

/** Throws SettingsFaults, request_invalid if another program answers, and the codes of openService(). */
export async function reachServer(
  { config, admin }: ReachOptions,
  terminal: Terminal,
  openLocal: LocalServer = openData,
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
  return openLocal({ config, base, data }, terminal);
}

/** Opens a local substitute if no server answers. `base`: URL of the admin port; undefined if the port is 0. */
export type LocalServer = (
  place: { readonly config: string; readonly base: string | undefined; readonly data: string },
  terminal: Terminal,
) => Promise<Reached>;

function over(base: string, token: string | undefined): Reached {
  const headers = token === undefined || token === "" ? undefined : { Authorization: `Bearer ${token}` };
  const send: SendRequest = async (path, init) => {
    try {
      return await fetch(`${base}${path}`, { ...init, headers: { ...init.headers, ...headers }, redirect: "error" });
    } catch (cause) {
      if (init.signal?.aborted === true) throw cause;
      throw new HuiyuanError("request_invalid", `the server at ${base} no longer answers`, { cause });
    }
  };
  return { client: createAdminClient(send), async close() {} };
}

const openData: LocalServer = async ({ config, base, data }, terminal) => {
  terminal.err.write(`no server answers at ${base ?? "the admin port"}; working on ${data} directly\n`);
  // Loaded only here: commands with a server do not need the whole program.
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
  // Never aborted: Ctrl-C aborts the command's own requests.
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

/** Undefined if the port is 0, which the system chooses. */
function baseOf({ adminHost, adminPort }: ServerSettings): string | undefined {
  if (adminPort === 0) return undefined;
  const host = { "0.0.0.0": "127.0.0.1", "::": "::1" }[adminHost] ?? adminHost;
  return `http://${host.includes(":") ? `[${host.replace(/^\[|\]$/g, "")}]` : host}:${adminPort}`;
}

/** False if nothing listens there. Throws request_invalid if another program listens. */
async function isAnswering(base: string): Promise<boolean> {
  const fail = (found: string, cause?: unknown): never => {
    throw new HuiyuanError("request_invalid", `Cannot reach the server at ${base}: ${found}`, { cause });
  };
  let response: Response;
  try {
    response = await fetch(`${base}/healthz`, { signal: AbortSignal.timeout(PROBE_MS), redirect: "error" });
  } catch (error) {
    if (isRefused(error)) return false;
    return fail("it does not answer properly", error);
  }
  const health: unknown = await response.json().catch(() => undefined); // Not JSON, so another program.
  if ((health as { status?: unknown } | undefined)?.status === "alive") return true;
  return fail("another program listens there");
}

function isRefused(error: unknown): boolean {
  const cause = error instanceof Error ? error.cause : undefined;
  // All addresses of a name were refused.
  const causes = cause instanceof AggregateError ? cause.errors : [cause];
  return causes.every((each) => (each as { code?: unknown } | undefined)?.code === "ECONNREFUSED");
}
