// Runs the marked code blocks of a page as a reader would: in one empty folder, in one shell, with servers beside it.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readlinkSync } from "node:fs";
import { chmod, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseDocument } from "yaml";
import { type Block, isShell } from "./page-blocks.ts";
import { eventually, PROGRAM, within } from "./program.ts";
import { freePort, type ServiceName } from "./services.ts";
import { isWholeFile } from "./settings-blocks.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
/** Time for one block, or until a server is ready. */
const PATIENCE_MS = 60_000;
/** The ports of the documentation: of origins, of a server by default, of a tutorial beside a live server, of nginx. */
const PORTS = ["8000", "8080", "8081", "18080", "18081", "8443"];
const READY = "downloads on http";
/** Programs that blocks may use. */
const PROGRAMS = ["awk", "curl", "nginx", "openssl", "php", "python3"] as const satisfies readonly ServiceName[];

/** The programs that the blocks of a page need. */
export function programsOf(blocks: readonly Block[]): readonly ServiceName[] {
  const text = blocks.filter(({ run }) => run !== undefined).map((block) => block.text);
  return ["bash", ...PROGRAMS.filter((name) => text.some((each) => RegExp(`\\b${name}\\b`).test(each)))];
}

/** Rejects with the place and the output of the first block that does not end as its mark says. */
export async function runPage(blocks: readonly Block[]): Promise<void> {
  const scratch = await mkdtemp(join(tmpdir(), "huiyuan-page-"));
  const folder = join(scratch, "page");
  await mkdir(folder);
  // The clone that a skipped block would have made.
  if (blocks.some(({ marks, text }) => marks.skip !== undefined && /git clone \S+ huiyuan/.test(text)))
    await symlink(ROOT, join(folder, "huiyuan"));
  const ports = new Map<string, string>();
  for (const port of PORTS) ports.set(port, String(await freePort()));
  const shell = startShell(folder, await pathWithHuiyuan(scratch));
  try {
    for (const block of blocks) {
      const text = withPorts(block.text, ports);
      if (block.marks.file !== undefined) await writePageFile(join(folder, block.marks.file), text, ports);
      if (isShell(block) && block.run !== undefined) await runBlock(shell, { ...block, text }, { scratch, ports });
    }
  } finally {
    await endShell(shell, scratch);
  }
}

const withPorts = (text: string, ports: ReadonlyMap<string, string>) =>
  text.replace(RegExp(`\\b(?:${PORTS.join("|")})\\b`, "g"), (port) => ports.get(port) ?? port);

/** Settings without ports get the free ones, because other programs may use the defaults. */
async function writePageFile(path: string, text: string, ports: ReadonlyMap<string, string>): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const isSettings = /\.ya?ml$/.test(path) && isWholeFile(text);
  const document = isSettings ? parseDocument(text) : undefined;
  for (const [key, port] of [
    ["port", "8080"],
    ["adminPort", "8081"],
  ] as const)
    if (document?.hasIn(["server", key]) === false) document.setIn(["server", key], Number(ports.get(port)));
  await writeFile(path, document === undefined ? text : String(document));
}

/** Returns a PATH that has the built program as `huiyuan`, and the sbin folder of Debian's servers. */
async function pathWithHuiyuan(scratch: string): Promise<string> {
  const bin = join(scratch, "bin");
  await mkdir(bin);
  const shim = join(bin, "huiyuan");
  await writeFile(shim, `#!/bin/sh\nexec "${process.execPath}" "${PROGRAM}" "$@"\n`);
  await chmod(shim, 0o755);
  return `${bin}:${process.env.PATH}:/usr/sbin`;
}

interface Shell {
  readonly process: ChildProcess;
  /** All output so far. */
  said: string;
}

/** One bash in a process group of its own, so that variables of a block are there in the next. */
function startShell(folder: string, path: string): Shell {
  const own = Object.entries(process.env).filter(([name]) => !name.startsWith("HUIYUAN_"));
  const env = { ...Object.fromEntries(own), PATH: path, LC_ALL: "C.UTF-8" };
  const child = spawn("bash", ["--norc"], { cwd: folder, env, detached: true, stdio: ["pipe", "pipe", "pipe"] });
  const shell: Shell = { process: child, said: "" };
  const listen = (chunk: Buffer) => {
    shell.said += chunk.toString();
  };
  child.stdout.on("data", listen);
  child.stderr.on("data", listen);
  child.stdin.on("error", () => undefined); // A failed block has ended the shell.
  child.on("error", (error) => listen(Buffer.from(String(error)))); // There is no bash.
  return shell;
}

interface Surroundings {
  readonly scratch: string;
  /** Port of the documentation → free port. */
  readonly ports: ReadonlyMap<string, string>;
}

async function runBlock(
  shell: Shell,
  { page, line, run, text }: Block,
  { scratch, ports }: Surroundings,
): Promise<void> {
  const file = join(scratch, `block-${line}.sh`);
  await writeFile(file, text);
  const log = join(scratch, `block-${line}.log`);
  const outputs = async () => `${shell.said.slice(-4_000)}${await readFile(log, "utf8").catch(() => "")}`;
  const withOutputs = async (error: Error) => {
    throw new Error(`${error.message}\n${await outputs()}`);
  };
  const start = shell.said.length;
  const done = RegExp(`^block ${line} ended (\\d+)$`, "m");
  const report = `status=$?; echo; echo "block ${line} ended $status"`;
  const commands = {
    // A failing command ends the shell.
    run: `set -e; . ${file} </dev/null; ${report}`,
    "run fails": `set +e; ( set -e; . ${file} ) </dev/null; ${report}`,
    "run background": `( ( set -e; . ${file} ); echo "server ended $?" ) </dev/null >${log} 2>&1 & ${report}`,
  };
  shell.process.stdin?.write(`${commands[run ?? "run"]}\n`);
  const hasEnded = () => shell.process.exitCode !== null || done.test(shell.said.slice(start));
  await eventually(hasEnded, `${page}:${line} ends`, PATIENCE_MS).catch(withOutputs);
  const status = Number(done.exec(shell.said.slice(start))?.[1] ?? shell.process.exitCode);
  if ((run === "run fails") === (status === 0))
    throw new Error(`${page}:${line}: exit code ${status}\n${await outputs()}`);
  if (run !== "run background") return;
  await eventually(() => isReady(text, log, ports), `the server of ${page}:${line} is ready`, PATIENCE_MS).catch(
    withOutputs,
  );
}

/**
 * Huiyuan says so, or opens the admin port, which it does last. Of other servers, every port that their block names
 * accepts connections. Rejects if the server has failed.
 */
async function isReady(text: string, log: string, ports: Surroundings["ports"]): Promise<boolean> {
  const said = await readFile(log, "utf8").catch(() => ""); // The shell may not have made it yet.
  if (/^server ended [1-9]/m.test(said)) throw new Error("the server ended");
  if (/\bhuiyuan (?:serve|try)\b/.test(text)) {
    const adminPorts = ["8081", "18081"].map((port) => accepts(Number(ports.get(port))));
    return said.includes(READY) || (await Promise.all(adminPorts)).includes(true);
  }
  const named = [...text.matchAll(/\b1[2-9]\d{3}\b|\b2\d{4}\b/g)].map(([port]) => Number(port));
  return (await Promise.all(named.map(accepts))).every((isOpen) => isOpen);
}

function accepts(port: number): Promise<boolean> {
  const socket = connect({ port, host: "127.0.0.1" });
  return once(socket, "connect")
    .then(
      () => true,
      () => false,
    ) // refused: not yet
    .finally(() => socket.destroy());
}

/** Kills the shell with all that it started, servers that left its process group too, and removes the folder. */
async function endShell({ process: child }: Shell, scratch: string): Promise<void> {
  const exited = child.exitCode === null && child.signalCode === null ? once(child, "exit") : undefined;
  const group = child.pid === undefined ? [] : [-child.pid];
  for (const pid of [...group, ...processesBelow(scratch)]) kill(pid);
  if (exited !== undefined) await within(exited, PATIENCE_MS, () => "the shell did not end after SIGKILL");
  await rm(scratch, { recursive: true, force: true, maxRetries: 5 });
}

/** Processes whose working folder is below `scratch`, as those of nginx. None on systems without /proc. */
function processesBelow(scratch: string): readonly number[] {
  const isBelow = (pid: string) => {
    try {
      return readlinkSync(`/proc/${pid}/cwd`).startsWith(scratch);
    } catch {
      return false; // It has ended, or belongs to another user.
    }
  };
  try {
    return readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name))
      .filter(isBelow)
      .map(Number);
  } catch {
    return []; // There is no /proc.
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended.
  }
}
