// `huiyuan serve`: runs the server until a signal stops it, and reloads its settings file when that changes.
import { type Command, Option } from "commander";
import { type App, startApp } from "../../app.ts";
import type { Log } from "../../core/log.ts";
import { createSettingsReader, type SettingsReader } from "../../settings/edit/text-jobs.ts";
import { SettingsFaults } from "../../settings/faults.ts";
import { namedFaults } from "../../settings/setting-paths.ts";
import { watchSettings } from "../../settings/watch.ts";
import { writeFirstSettings } from "./first-settings.ts";
import { createLogger } from "./logger.ts";
import { endBy, keepYoungGenerationSmall } from "./run-to-end.ts";
import { newCommand, type Terminal, untilStopped } from "./terminal.ts";

interface ServeFlags {
  readonly config: string;
  readonly logLevel: string;
  readonly new: boolean;
}

const LOG_LEVELS = ["debug", "info", "warn", "error"];
const HELP = `The server reads the settings file again when it changes, and on SIGHUP. A file
with faults is refused, and the old settings stay in force.

SIGTERM or Ctrl-C stops the server within 10 s; clients get up to 5 s to finish.
If server.drainDelay is set, that delay comes first: the server still serves,
and health checks get 503. One more signal ends the delay, the next one the
process.

With --new, a missing settings file is written first: one project with a new
key pair, and no bucket. If another program uses port 8080 or 8081, the file has
the next free one. The console on the admin port makes the buckets.

Examples:
  huiyuan serve
  huiyuan serve --new
  huiyuan serve --config /etc/huiyuan/huiyuan.yaml --log-level warn`;

export function serveCommand(terminal: Terminal): Command {
  return newCommand(terminal, "serve", HELP)
    .option("-c, --config <file>", "settings file", "huiyuan.yaml")
    .option("--new", "write a first settings file if there is none", false)
    .addOption(new Option("--log-level <level>", "least level of log lines").choices(LOG_LEVELS).default("info"))
    .action(async (flags: ServeFlags) => serve(flags, terminal));
}

async function serve(flags: ServeFlags, terminal: Terminal): Promise<void> {
  // A closed reader or a full disk of the log is no reason to stop serving.
  for (const stream of [terminal.out, terminal.err]) stream.on("error", () => {});
  const watching = new AbortController();
  let app: App | undefined;
  let signal: NodeJS.Signals | undefined;
  let isClosed = true;
  let isChanged = false;
  const log = createLogger({ isInteractive: terminal.isInteractive, level: flags.logLevel, destination: terminal.out });
  const reader = createSettingsReader({ file: flags.config, env: process.env });
  let reloading = Promise.resolve();
  // Reloads run one after another, so that the newest settings stay in force.
  const onChange = (): Promise<void> => {
    reloading = reloading.then(async () => {
      if (app === undefined) isChanged = true;
      else if (!watching.signal.aborted) await reload(app, reader, log);
    });
    return reloading;
  };
  // Never removed, because a SIGHUP during the stop must not end the process.
  process.on("SIGHUP", onChange);
  const written = flags.new ? await writeFirstSettings(flags.config) : undefined;
  if (written !== undefined) terminal.out.write(`${written}\n`);
  // The watch begins before the file is read, so that a change during the start is not missed.
  const watched = watchSettings({ file: flags.config, signal: watching.signal, onChange, names: reader.names });
  keepYoungGenerationSmall(true);
  try {
    await watched;
    const { settings, version } = await reader.load();
    app = await startApp({ settings, settingsFile: { reader, version }, log });
    keepYoungGenerationSmall(false);
    // Signals are handled before readiness is announced, so that an early stop is orderly.
    const stopped = untilStopped();
    const { host, adminHost } = settings.server;
    const admin = `http://${urlHost(adminHost)}:${app.adminPort}`;
    const downloads = `http://${urlHost(host)}:${app.downloadPort}`;
    terminal.out.write(`huiyuan is ready: downloads on ${downloads}, admin on ${admin}\n`);
    if (settings.projects.every(({ buckets }) => buckets.length === 0))
      terminal.out.write(`there is no bucket yet: make the first one at ${admin}/buckets/new\n`);
    if (isChanged) await reload(app, reader, log);
    signal = await stopped;
    log.info({ signal }, "stopping");
    await drain(app);
  } finally {
    watching.abort();
    if (app !== undefined) isClosed = await app.stop();
  }
  if (!isClosed) return endBy(signal);
  log.info({}, "stopped");
}

/** A further signal ends the delay, and only the next one after it ends the process at once. */
async function drain(app: App): Promise<void> {
  const over = new AbortController();
  await Promise.race([app.drain(over.signal), untilStopped(["SIGTERM", "SIGINT"], over.signal)]);
  over.abort();
}

async function reload(app: App, reader: SettingsReader, log: Log): Promise<void> {
  const { file } = reader.place;
  try {
    const { settings, version } = await reader.load();
    await app.reload(settings, version);
  } catch (error) {
    const found = error instanceof Error ? error.message : String(error);
    const text = error instanceof SettingsFaults ? `${namedFaults(error)}\n\`huiyuan check\` shows more` : found;
    log.error({ file, faults: text }, "the new settings have faults; the old ones stay in force");
    app.refuse(`the settings file was changed and is refused, the old settings are in force: ${text}`);
  }
}

function urlHost(host: string): string {
  return host.includes(":") ? `[${host}]` : host;
}
