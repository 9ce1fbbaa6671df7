// The processes that render. One is started when it is needed, serves one image at a time, is killed when an image takes too
// long, replaced when it has grown, and let go when there is nothing to do or its memory is wanted by another. How many run at
// once is the queue's affair.
import type { ChildProcess } from "node:child_process";
import { Socket } from "node:net";
import { HuiyuanError } from "../../core/errors.ts";
import type { SourceLimits } from "../formats/loaders.ts";
import type { PipelineRequest, Rendered } from "../process/pipeline.ts";
import type { VerifyBody } from "../process/verify-decodable.ts";
import {
  createFrameReader,
  type FromProcess,
  requestFrame,
  SHARED_BYTES,
  SOCKET,
  verifyFrame,
} from "./render-messages.ts";
import { spawnRenderProcess } from "./render-spawn.ts";

export interface RenderPool {
  /**
   * `bytes`: what it takes in memory, by estimate, beside a process at rest. Throws what renderImage throws, render_timeout
   * after `renderMs`, image_too_large when memory was not enough, render_failed when no process could be started, or two have
   * died of it or were not ready within `startMs` each.
   */
  render(request: PipelineRequest, bytes: number): Promise<Rendered>;
  /** Resolves when the image can be decoded whole. Throws what proveImage throws, and as `render`. */
  verify(body: VerifyBody, limits: SourceLimits, bytes: number): Promise<void>;
  /** Another `renderMs` for images to come. */
  setDeadline(renderMs: number): void;
  /** Processes that exist. */
  readonly size: number;
  /** Kills every process; what they render fails with render_failed. */
  close(): Promise<void>;
}

export interface RenderPoolOptions {
  /** Milliseconds the start of a process may take; then it is killed. */
  readonly startMs: number;
  /** Milliseconds an image may take, from when its process is ready; of two that it is given to, both together. */
  readonly renderMs: number;
  /** Bytes of memory a process may have. */
  readonly maxResidentBytes: number;
  /** Bytes of memory of all of them: those without work are let go when one with work needs theirs. */
  readonly maxTotalBytes: number;
  /** Milliseconds after which a process without work ends; the last one has `lastIdleMs` more. */
  readonly idleMs: number;
  readonly lastIdleMs: number;
}

/** Bytes of memory of a process at rest. */
export const PROCESS_BYTES = 64 * 1024 * 1024;
/** Above it a process is not used again: libvips' memory is never given back whole. */
const GROWN_BYTES = 2 * PROCESS_BYTES;

/** What a process has said, with the bytes behind it. */
interface Reply {
  readonly head: FromProcess;
  readonly body: Buffer;
}

/** What it was asked for, done. */
interface Success extends Reply {
  readonly head: Extract<FromProcess, { kind: "rendered" | "verified" }>;
}

/** The parts of an order, made for the process that gets it. */
type CommandFor = (renderer: Renderer) => readonly Buffer[];

/** A process and what it does. */
interface Renderer {
  readonly child: ChildProcess;
  readonly socket: Socket;
  readonly ready: Promise<void>;
  readonly ended: Promise<void>;
  /** Set while it renders; called with its answer, or undefined when it is gone. */
  onReply: ((reply: Reply | undefined) => void) | undefined;
  /** The image that it has from the last request: one is often wanted in several sizes. */
  held: WeakRef<Buffer> | undefined;
  /** Bytes of memory after the last order. */
  residentBytes: number;
  /** Of memory, by estimate while it works. */
  bytes: number;
  idle: NodeJS.Timeout | undefined;
}

export function createRenderPool(options: RenderPoolOptions): RenderPool {
  const { startMs, maxResidentBytes, maxTotalBytes, idleMs, lastIdleMs } = options;
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
    // Without descriptors to spare there are no pipes either, whatever the type says.
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
    // What could not be sent: the process is ending, which is heard of anyway.
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

  function keep(renderer: Renderer, residentBytes: number): void {
    renderer.residentBytes = residentBytes;
    renderer.bytes = residentBytes;
    rest(renderer, idleMs);
    // A server that is stopping does not wait for it.
    renderer.child.unref();
    renderer.socket.unref();
    free.push(renderer);
  }

  /** Whoever asks next should not wait for a process to start, and one that has rendered for long does it faster. */
  function rest(renderer: Renderer, ms: number): void {
    renderer.idle = setTimeout(() => {
      // One that was killed has none.
      if (ms === idleMs && bytesBeside(renderer) === 0) rest(renderer, lastIdleMs);
      else kill(renderer);
    }, ms);
    renderer.idle.unref();
  }

  /** For work that takes so much memory more. */
  function take(bytes: number): Renderer {
    // The one that worked last is the warmest, and lets the others become idle.
    let renderer = free.pop() ?? start();
    clearTimeout(renderer.idle);
    while (bytesBeside(renderer) + renderer.residentBytes + bytes > maxTotalBytes && free.length > 0)
      kill(free[0] as Renderer);
    // What it has kept is wanted, too, where that is worth the start of another.
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

  /** Undefined: the process has ended. What passes from when it was ready is taken from the time. */
  function attempt(
    renderer: Renderer,
    commandFor: CommandFor,
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
      // The start has a bound of its own: by a short time for images no process would ever have started.
      void renderer.ready.then(() => {
        if (renderer.onReply !== settle) return;
        sentAt = performance.now();
        timer = setTimeout(() => settle("late"), time.leftMs);
        send(renderer.socket, commandFor(renderer));
      });
    });
  }

  /** Gives it to a process and takes care of that, whatever becomes of it. */
  async function run(commandFor: CommandFor, bytes: number): Promise<Success> {
    const allowedMs = renderMs;
    const time = { leftMs: allowedMs };
    let renderer = take(bytes);
    let reply = await attempt(renderer, commandFor, time);
    // Somebody else has killed it, or the image has, or it did not start: a second process tells.
    if (reply === undefined && !isClosed) {
      renderer = take(bytes);
      reply = await attempt(renderer, commandFor, time);
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
    else keep(renderer, head.residentBytes);
    if (head.kind !== "refused") return { head, body };
    const { code, message, parameter, wanted } = head;
    throw new HuiyuanError(code, message, { parameter, wanted });
  }

  return {
    async render(request, bytesToRender) {
      const { bytes } = request;
      const { head, body } = await run((renderer) => {
        const isHeld = renderer.held?.deref() === bytes;
        if (!isHeld) renderer.held = bytes.length <= SHARED_BYTES ? new WeakRef(bytes) : undefined;
        return requestFrame(request, isHeld);
      }, bytesToRender);
      if (head.kind === "rendered") return { ...head.rendered, bytes: body };
      throw new HuiyuanError("internal", "Cannot process: the render process has done something else");
    },
    async verify(body, limits, bytesToVerify) {
      await run((renderer) => {
        renderer.held = undefined;
        return verifyFrame(body, limits);
      }, bytesToVerify);
    },
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
        // Whoever closes waits for the end of those too that nobody waited for.
        renderer.child.ref();
        kill(renderer);
      }
      await Promise.all(ending.map(({ ended }) => ended));
    },
  };
}

/** In one system call; a single part, which most orders are, needs no list of what is to be written. */
function send(socket: Socket, parts: readonly Buffer[]): void {
  if (parts.length > 1) socket.cork();
  for (const part of parts) socket.write(part);
  if (parts.length > 1) socket.uncork();
}
