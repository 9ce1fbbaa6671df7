// A real S3 store for tests: one Ceph RGW that all files of a run share, and further gateways that a test may stop.
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { eventually, within } from "./program.ts";
import { freePort } from "./services.ts";

const SCRIPT = fileURLToPath(new URL("../services/ceph-rgw.sh", import.meta.url));

/** The store's address and an administrator's key pair. Each test makes its own buckets: `<something>-<random>`. */
export interface CephRgw {
  /** `http://127.0.0.1:<port>`; the bucket is the first part of the path. */
  readonly url: string;
  readonly port: number;
  readonly region: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

/**
 * Returns the store of this test run. The first call starts it, which takes 13 s: call it in a beforeAll() with
 * CEPH_START_MS. The store ends with the run; no test stops it. Tests that use it declare `needs("ceph")`.
 */
export async function sharedRgw(): Promise<CephRgw> {
  const { folder, owner } = run();
  const ports = [String(await freePort()), String(await freePort())];
  // The script locks the folder: a second caller waits in it until the first one has started the store.
  const { stdout } = await promisify(execFile)("bash", [SCRIPT, "start", folder, ...ports, owner], {
    timeout: CEPH_START_MS,
  });
  return rgwAt(Number(stdout));
}

/** Time-out of a beforeAll() that calls sharedRgw(). */
export const CEPH_START_MS = 90_000;

/** A further gateway to the shared store on its own port, which a test may kill and restart. */
export interface Gateway extends CephRgw {
  /** User, method, path and status of each request since the last start(), such as `test GET /pictures/a.jpg 200`. */
  accessLog(): Promise<readonly string[]>;
  /** Sends SIGKILL; resolves once the process has ended. No effect if it is not running. */
  stop(): Promise<void>;
  /** Starts it again on the same port; resolves once it answers. */
  start(): Promise<void>;
}

/** Resolves once the gateway answers. The caller stops it. */
export async function startGateway(): Promise<Gateway> {
  await sharedRgw();
  const { folder } = run();
  const port = await freePort();
  let child: ChildProcess | undefined;
  const isRunning = () => child?.exitCode === null && child.signalCode === null;
  const start = async () => {
    child = spawn("bash", [SCRIPT, "gateway", folder, String(port)], { stdio: "ignore" });
    await eventually(
      async () => {
        if (!isRunning()) throw new Error(`the gateway ended (${child?.exitCode ?? child?.signalCode})`);
        return await isListening(port);
      },
      "the gateway answers",
      30_000,
    );
  };
  await start();
  return {
    ...rgwAt(port),
    start,
    async accessLog() {
      const text = await readFile(join(folder, "log", `client.rgw.a.${child?.pid}.log`), "utf8");
      return [...text.matchAll(/ beast: .*? - (\S+) \[.*?\] "(\S+ \S+) HTTP\/1\.1" (\d+) /g)].map((match) =>
        match.slice(1).join(" "),
      );
    },
    async stop() {
      if (child === undefined || !isRunning()) return;
      const exited = once(child, "exit");
      child.kill("SIGKILL");
      await within(exited, 10_000, () => "the gateway did not end after SIGKILL");
    },
  };
}

function rgwAt(port: number): CephRgw {
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    region: "default",
    accessKeyId: "testkey",
    secretAccessKey: "testsecret",
  };
}

function run(): { readonly folder: string; readonly owner: string } {
  const { HUIYUAN_TEST_SERVICES: services, HUIYUAN_TEST_OWNER: owner } = process.env;
  if (services === undefined || owner === undefined) throw new Error("Cannot start Ceph: run by vitest only");
  return { folder: join(services, "ceph"), owner };
}

async function isListening(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false; // refused: not yet started
  } finally {
    socket.destroy();
  }
}
