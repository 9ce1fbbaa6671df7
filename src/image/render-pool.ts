// The processes that render. One is started when it is needed, serves one image at a time, is killed when an image takes too
// long, replaced when it has grown, and let go when there is nothing to do. How many run at once is the queue's affair.
import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { HuiyuanError } from "../errors.ts";
import type { PipelineRequest, Rendered } from "./pipeline.ts";
import type { FromProcess, ProcessArguments, ToProcess } from "./render-messages.ts";

export interface RenderPool {
  /**
   * Throws what renderImage throws, render_timeout after `renderMs`, image_too_large when memory was not enough,
   * render_failed when the process died or did not start.
   */
  render(request: PipelineRequest): Promise<Rendered>;
  /** Another `renderMs` for images to come. */
  setDeadline(renderMs: number): void;
  /** Processes that exist. */
  readonly size: number;
  /** Kills every process; what they render fails with render_failed. */
  close(): Promise<void>;
}

export interface RenderPoolOptions {
  /** Milliseconds an image may take, the start of a process included. */
  readonly renderMs: number;
  /** Bytes of memory a process may have. */
  readonly maxResidentBytes: number;
  /** Milliseconds after which a process without work ends. */
  readonly idleMs: number;
}

/** Bytes of memory above which a process is not used again: libvips' memory is never given back whole. */
const GROWN_BYTES = 200 * 1024 * 1024;

/** A process and what it does. */
interface Renderer {
  readonly child: ChildProcess;
  readonly ready: Promise<void>;
  readonly ended: Promise<void>;
  /** Set while it renders; called with its answer, or undefined when it is gone. */
  answered: ((answer: FromProcess | undefined) => void) | undefined;
  idle: NodeJS.Timeout | undefined;
}

export function createRenderPool({ maxResidentBytes, idleMs, ...options }: RenderPoolOptions): RenderPool {
  let { renderMs } = options;
  const free: Renderer[] = [];
  const all = new Set<Renderer>();

  function start(): Renderer {
    const child = fork(processPath(), [String(maxResidentBytes)] satisfies ProcessArguments, {
      serialization: "advanced",
      execArgv: [],
      env: processEnvironment(),
      stdio: ["ignore", "ignore", "ignore", "ipc"],
    });
    const ended = new Promise<void>((resolve) => {
      child.once("exit", () => resolve());
      child.once("error", () => resolve());
    });
    const renderer: Renderer = {
      child,
      ready: new Promise((resolve) => child.once("message", () => resolve())),
      ended,
      answered: undefined,
      idle: undefined,
    };
    child.on("message", (message: FromProcess) => {
      if (message.kind !== "ready") renderer.answered?.(message);
    });
    // A message that could not be sent: the process is ending, which is heard of anyway.
    child.on("error", () => {});
    all.add(renderer);
    void ended.then(() => {
      all.delete(renderer);
      forget(renderer);
      renderer.answered?.(undefined);
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
    renderer.child.kill("SIGKILL");
  }

  function keep(renderer: Renderer, residentBytes: number): void {
    if (residentBytes > GROWN_BYTES) {
      kill(renderer);
      return;
    }
    renderer.idle = setTimeout(() => kill(renderer), idleMs);
    renderer.idle.unref();
    // A server that is stopping does not wait for it.
    renderer.child.unref();
    renderer.child.channel?.unref();
    free.push(renderer);
  }

  function take(): Renderer {
    // The one that worked last is the warmest, and lets the others become idle.
    const renderer = free.pop() ?? start();
    clearTimeout(renderer.idle);
    renderer.child.ref();
    renderer.child.channel?.ref();
    return renderer;
  }

  /** Undefined: the process has ended. */
  function ask(renderer: Renderer, request: PipelineRequest): Promise<FromProcess | "late" | undefined> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => settle("late"), renderMs);
      const settle = (answer: FromProcess | "late" | undefined) => {
        clearTimeout(timer);
        renderer.answered = undefined;
        resolve(answer);
      };
      renderer.answered = settle;
      void renderer.ready.then(() => {
        // What cannot be sent has no process any more, which is heard of by itself.
        if (renderer.answered === settle) renderer.child.send(request satisfies ToProcess, () => {});
      });
    });
  }

  return {
    async render(request) {
      const renderer = take();
      const answer = await ask(renderer, request);
      if (answer === undefined) throw new HuiyuanError("render_failed", "Cannot process: the render process has ended");
      if (answer === "late" || answer.kind === "exhausted" || answer.kind === "ready") {
        kill(renderer);
        if (answer === "late")
          throw new HuiyuanError("render_timeout", `Cannot process: it took more than ${renderMs} ms`);
        throw new HuiyuanError(
          "image_too_large",
          `Cannot process: it needs more than ${maxResidentBytes} bytes of memory`,
        );
      }
      keep(renderer, answer.residentBytes);
      if (answer.kind === "rendered") return { ...answer.rendered, bytes: asBuffer(answer.rendered.bytes) };
      const { code, message, parameter } = answer;
      throw new HuiyuanError(code, message, parameter === undefined ? {} : { parameter });
    },
    setDeadline(next) {
      renderMs = next;
    },
    get size() {
      return all.size;
    },
    async close() {
      const ending = [...all];
      for (const renderer of ending) {
        // Whoever closes waits for the end of those too that nobody waited for.
        renderer.child.ref();
        kill(renderer);
      }
      await Promise.all(ending.map(({ ended }) => ended));
    },
  };
}

/** Processes run the built program: when this file is run from source, that is in dist/. */
function processPath(): string {
  const isSource = import.meta.url.endsWith(".ts");
  return fileURLToPath(
    new URL(isSource ? "../../dist/image/render-process.js" : "./render-process.js", import.meta.url),
  );
}

/** Nothing secret, two arenas (glibc keeps what threads free), and no more threads than one render needs. */
function processEnvironment(): NodeJS.ProcessEnv {
  const { PATH, HOME, LD_LIBRARY_PATH, FONTCONFIG_PATH, FONTCONFIG_FILE, XDG_CACHE_HOME } = process.env;
  const inherited = { PATH, HOME, LD_LIBRARY_PATH, FONTCONFIG_PATH, FONTCONFIG_FILE, XDG_CACHE_HOME };
  const set = Object.entries(inherited).filter(([, value]) => value !== undefined);
  return { ...Object.fromEntries(set), MALLOC_ARENA_MAX: "2", UV_THREADPOOL_SIZE: "2" };
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
