// The pool of render processes. A process starts on demand and serves one image at a time. It is killed if an image
// takes too long, if it has grown, if it is idle, or if another process needs its memory. The render queue limits how
// many run at once.
import { type ChildProcess, spawn } from "node:child_process";
import { Socket } from "node:net";
import { fileURLToPath } from "node:url";
import { HuiyuanError } from "../../../core/errors.ts";
import type { PipelineRequest } from "../process/pipeline.ts";
import {
  createFrameReader,
  type FromProcess,
  type ProcessArguments,
  requestFrame,
  SHARED_BYTES,
  SOCKET,
} from "./render-messages.ts";

export interface RenderPool {
  /**
   * `bytes`: estimated memory in addition to an idle process. Throws as renderImage; render_timeout after `renderMs`;
   * image_too_large if the memory was not enough; render_failed if no process could be started, or if two processes
   * ended or were not ready within `startMs` each.
   */
  render(request: PipelineRequest, bytes: number): Promise<Buffer>;
  /** Changes `renderMs` for later images. */
  setDeadline(renderMs: number): void;
  /** Running processes. */
  readonly size: number;
  /** Kills all processes; their renders fail with render_failed. */
  close(): Promise<void>;
}

export interface RenderPoolOptions {
  /** Milliseconds that the start of a process may take; then it is killed. */
  readonly startMs: number;
  /** Milliseconds that an image may take from when its process is ready; for two attempts, both together. */
  readonly renderMs: number;
  /** Bytes of memory that a process may have. */
  readonly maxResidentBytes: number;
  /** Bytes of memory of all processes; idle ones are killed if a busy one needs their share. */
  readonly maxTotalBytes: number;
  /** Milliseconds after which an idle process ends. */
  readonly idleMs: number;
}

/** Bytes of memory of an idle process. */
export const PROCESS_BYTES = 64 * 1024 * 1024;
/** A larger process is not used again, because libvips never returns all of its memory. */
const GROWN_BYTES = 2 * PROCESS_BYTES;

/** A message of a process, and the bytes that follow it. */
interface Reply {
  readonly head: FromProcess;
  readonly body: Buffer;
}

/** A process and its state. */
interface Renderer {
  readonly child: ChildProcess;
  readonly socket: Socket;
  readonly ready: Promise<void>;
  readonly ended: Promise<void>;
  /** Set while it is busy; called with its reply, or with undefined when the process has ended. */
  onReply: ((reply: Reply | undefined) => void) | undefined;
  /** The image that it has from the last command, because one image is often requested in several sizes. */
  held: WeakRef<Buffer> | undefined;
  /** Bytes of memory after the last command. */
  residentBytes: number;
  /** Bytes of memory; an estimate while it is busy. */
  bytes: number;
  idle: NodeJS.Timeout | undefined;
}

export function createRenderPool(options: RenderPoolOptions): RenderPool {
  const { startMs, maxResidentBytes, maxTotalBytes, idleMs } = options;
  let { renderMs } = options;
  let isClosed = false;
  const free: Renderer[] = [];
  const all = new Set<Renderer>();

  function start(): Renderer {
    const child = spawnRenderProcess(maxResidentBytes);
    const ended = new Promise<void>((resolve) => {
      child.once("exit", () => resolve());
      child.once("error", () => resolve());
    });
    // If no descriptors are left, `stdio` is undefined, although the type says otherwise.
    const socket = (child.stdio as ChildProcess["stdio"] | undefined)?.[SOCKET];
    if (!(socket instanceof Socket))
      throw new HuiyuanError("render_failed", "Cannot process: no render process could be started");
    let isReady: () => void = () => {};
    const renderer: Renderer = {
      child,
      socket,
      ready: new Promise((resolve) => {
        isReady = resolve;
      }),
      ended,
      onReply: undefined,
      held: undefined,
      residentBytes: PROCESS_BYTES,
      bytes: 0,
      idle: undefined,
    };
    const starting = setTimeout(() => kill(renderer), startMs);
    const read = createFrameReader((head, body) => {
      if (head.kind === "ready") {
        clearTimeout(starting);
        isReady();
      } else renderer.onReply?.({ head, body });
    });
    socket.on("data", read);
    // A write failed because the process is ending, which the exit event reports.
    socket.on("error", () => {});
    all.add(renderer);
    void ended.then(() => {
      clearTimeout(starting);
      all.delete(renderer);
      forget(renderer);
      renderer.onReply?.(undefined);
    });
    return renderer;
  }

  function forget(renderer: Renderer): void {
    clearTimeout(renderer.idle);
    const at = free.indexOf(renderer);
    if (at !== -1) free.splice(at, 1);
  }

  function kill(renderer: Renderer): void {
    forget(renderer);
    renderer.bytes = 0;
    renderer.child.kill("SIGKILL");
  }

  function putBack(renderer: Renderer, residentBytes: number): void {
    renderer.residentBytes = residentBytes;
    renderer.bytes = residentBytes;
    // Until then the next render need not wait for a start, and a warm process renders faster.
    renderer.idle = setTimeout(() => kill(renderer), idleMs).unref();
    // An idle process must not keep a stopping server alive.
    renderer.child.unref();
    renderer.socket.unref();
    free.push(renderer);
  }

  /** A process for work that takes this many bytes in addition. */
  function take(bytes: number): Renderer {
    // The process used last has the warmest caches, and the others can reach their idle timeout.
    let renderer = free.pop() ?? start();
    clearTimeout(renderer.idle);
    while (bytesBeside(renderer) + renderer.residentBytes + bytes > maxTotalBytes && free.length > 0)
      kill(free[0] as Renderer);
    // A grown process is replaced if its own memory is needed; for a small one a new start would cost more.
    const hasGrown = renderer.residentBytes > 1.25 * PROCESS_BYTES;
    if (hasGrown && bytesBeside(renderer) + renderer.residentBytes + bytes > maxTotalBytes) {
      kill(renderer);
      renderer = start();
    }
    renderer.bytes = renderer.residentBytes + bytes;
    renderer.child.ref();
    renderer.socket.ref();
    return renderer;
  }

  function bytesBeside(renderer: Renderer): number {
    return [...all].reduce((sum, other) => sum + (other === renderer ? 0 : other.bytes), 0);
  }

  /** Undefined: the process has ended. The time since the process was ready is subtracted from `time.leftMs`. */
  function attempt(
    renderer: Renderer,
    request: PipelineRequest,
    time: { leftMs: number },
  ): Promise<Reply | "late" | undefined> {
    return new Promise((resolve) => {
      let timer: NodeJS.Timeout | undefined;
      let sentAt: number | undefined;
      const settle = (reply: Reply | "late" | undefined) => {
        clearTimeout(timer);
        renderer.onReply = undefined;
        if (sentAt !== undefined) time.leftMs -= performance.now() - sentAt;
        resolve(reply);
      };
      renderer.onReply = settle;
      // The start has a limit of its own. With a short image limit no process would ever become ready.
      void renderer.ready.then(() => {
        if (renderer.onReply !== settle) return;
        sentAt = performance.now();
        timer = setTimeout(() => settle("late"), time.leftMs);
        send(renderer, request);
      });
    });
  }

  /** Renders in a process, and afterwards returns the process to the pool or kills it. */
  async function render(request: PipelineRequest, bytes: number): Promise<Buffer> {
    const allowedMs = renderMs;
    const time = { leftMs: allowedMs };
    let renderer = take(bytes);
    let reply = await attempt(renderer, request, time);
    // The process was killed, crashed on the image or did not start. A second attempt tells whether the image is the
    // cause.
    if (reply === undefined && !isClosed) {
      renderer = take(bytes);
      reply = await attempt(renderer, request, time);
    }
    if (reply === undefined) throw new HuiyuanError("render_failed", "Cannot process: the render process has ended");
    if (reply === "late") {
      kill(renderer);
      throw new HuiyuanError("render_timeout", `Cannot process: it took more than ${allowedMs} ms`);
    }
    const { head, body } = reply;
    if (head.kind === "exhausted" || head.kind === "ready") {
      kill(renderer);
      const found = `it needs more than ${maxResidentBytes} bytes of memory`;
      throw new HuiyuanError("image_too_large", `Cannot process: ${found}`);
    }
    if (head.residentBytes > GROWN_BYTES) kill(renderer);
    else putBack(renderer, head.residentBytes);
    if (head.kind === "rendered") return body;
    const { code, message, parameter, wanted } = head;
    throw new HuiyuanError(code, message, { parameter, wanted });
  }

  return {
    render,
    setDeadline(next) {
      renderMs = next;
    },
    get size() {
      return all.size;
    },
    async close() {
      isClosed = true;
      const ending = [...all];
      for (const renderer of ending) {
        // Idle processes are unreferenced; close() waits for their end, too.
        renderer.child.ref();
        kill(renderer);
      }
      await Promise.all(ending.map(({ ended }) => ended));
    },
  };
}

/** Writes all parts in one system call. A single part, the usual case, needs no corking. */
function send(renderer: Renderer, request: PipelineRequest): void {
  const { socket } = renderer;
  const { bytes } = request;
  const isHeld = renderer.held?.deref() === bytes;
  if (!isHeld) renderer.held = bytes.length <= SHARED_BYTES ? new WeakRef(bytes) : undefined;
  const parts = requestFrame(request, isHeld);
  if (parts.length > 1) socket.cork();
  for (const part of parts) socket.write(part);
  if (parts.length > 1) socket.uncork();
}

/**
 * The process computes in libvips, not in JavaScript, so that V8 needs no helper threads for its small heap; this saves
 * 10 MB a process. Sharp makes an Error for each image in case it fails, and its stack is never read. `--expose-gc`
 * lets memory.ts free large pixel buffers between passes.
 */
const NODE_FLAGS = ["--single-threaded", "--max-semi-space-size=1", "--stack-trace-limit=0", "--expose-gc"];

/** Its pipe is `stdio[SOCKET]`. `maxResidentBytes`: bytes of memory that it may have. */
function spawnRenderProcess(maxResidentBytes: number): ChildProcess {
  const args = [...NODE_FLAGS, processPath(), ...([String(maxResidentBytes)] satisfies ProcessArguments)];
  return spawn(process.execPath, args, { env: processEnvironment(), stdio: ["ignore", "ignore", "ignore", "pipe"] });
}

/** Processes run the built program; if this file runs from source, the built program is in dist/. */
function processPath(): string {
  const isSource = import.meta.url.endsWith(".ts");
  return fileURLToPath(
    new URL(
      isSource ? "../../../../dist/serve/image/workers/render-process.js" : "./render-process.js",
      import.meta.url,
    ),
  );
}

/**
 * No secrets. Two malloc arenas, because glibc keeps memory freed by threads. Large blocks by mmap, because they
 * fragment the arenas. 8 MB of freed memory stay for the next image; without fast bins, freed blocks are joined at
 * once, not all of them at the next large block. As many threads as one render needs.
 */
function processEnvironment(): NodeJS.ProcessEnv {
  const set = INHERITED.filter((name) => process.env[name] !== undefined).map((name) => [name, process.env[name]]);
  return { ...Object.fromEntries(set), ...MALLOC };
}
const INHERITED = ["PATH", "HOME", "LD_LIBRARY_PATH", "FONTCONFIG_PATH", "FONTCONFIG_FILE", "XDG_CACHE_HOME"];
const MALLOC = {
  MALLOC_ARENA_MAX: "2",
  MALLOC_MMAP_THRESHOLD_: String(4 * 1024 * 1024),
  MALLOC_TRIM_THRESHOLD_: String(8 * 1024 * 1024),
  GLIBC_TUNABLES: "glibc.malloc.mxfast=0",
  UV_THREADPOOL_SIZE: "2",
};
