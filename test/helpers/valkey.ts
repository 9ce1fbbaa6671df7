// A real Valkey of its own for a test: on a free port, in memory only, and at the mercy of the test.
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { eventually } from "./program.ts";

export interface Valkey {
  readonly port: number;
  readonly url: string;
  /** Loses everything, as after kill -9 without persistence. */
  kill(): Promise<void>;
  start(): Promise<void>;
  pause(): void;
  resume(): void;
  /** Empties it while it runs. */
  flush(): void;
  close(): Promise<void>;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

export async function startValkey(): Promise<Valkey> {
  const port = await freePort();
  let running: ChildProcess | undefined;

  async function start(): Promise<void> {
    const options = ["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"];
    running = spawn("valkey-server", [...options, "--dir", tmpdir()], { stdio: "ignore" });
    await eventually(() => isOpen(port), "Valkey listens");
  }

  async function kill(): Promise<void> {
    const ended = running && once(running, "exit");
    running?.kill("SIGKILL");
    await ended;
    running = undefined;
  }

  await start();
  return {
    port,
    url: `redis://127.0.0.1:${port}/0`,
    kill,
    start,
    pause: () => void running?.kill("SIGSTOP"),
    resume: () => void running?.kill("SIGCONT"),
    flush: () => void execFileSync("valkey-cli", ["-p", String(port), "flushall"]),
    close: kill,
  };
}

function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => {
      socket.destroy();
      resolve(true);
    });
    socket.on("error", () => resolve(false));
  });
}
