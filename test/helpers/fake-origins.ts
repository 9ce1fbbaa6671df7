// Origins without a network, for tests of the mirror: each answers its requests in turn. A body is whole at once, or a
// test delivers it step by step. They follow the contract in origin.ts.
import { CancellationSource } from "../../src/async/cancellation.ts";
import { type ErrorCode, type ErrorDetails, HuiyuanError } from "../../src/core/errors.ts";
import type { NotModified, Origin, OriginAnswer, OriginRequest, OriginSink } from "../../src/serve/origin/origin.ts";

/** An origin's response to one request. */
export type Reply = (request: OriginRequest) => Answered | Promise<Answered>;

type Answered = Awaited<ReturnType<Origin["fetch"]>>;

export interface FakeOrigin extends Origin {
  /** All requests so far, in order. */
  readonly requests: readonly OriginRequest[];
}

/** Uses the replies in turn; the last one repeats. */
export function fakeOrigin(...replies: readonly Reply[]): FakeOrigin {
  const requests: OriginRequest[] = [];
  return {
    id: "fake",
    requests,
    async fetch(request) {
      requests.push(request);
      const reply = replies[Math.min(requests.length, replies.length) - 1];
      if (reply === undefined) throw new Error("a fake origin needs a reply");
      return reply(request);
    },
    async close() {},
  };
}

/** Fields of a response head other than its length. */
export type HeadFacts = Partial<
  Pick<OriginAnswer, "size" | "framing" | "digests" | "etag" | "lastModified" | "life" | "desync">
>;

/** 200 with a whole body of declared length, unless `facts` say otherwise. */
export function image(bytes: Buffer, facts: HeadFacts = {}): Reply {
  return (request) => {
    const body = arriving({ size: bytes.byteLength, ...facts });
    if (request.method === "GET") body.send(bytes);
    body.end();
    return body.reply(request);
  };
}

/** Answers 304 to a request with `unless`. Answering it to any other request would be a bug of the test. */
export function notModified(facts: Partial<Pick<NotModified, "etag" | "lastModified" | "life">> = {}): Reply {
  return ({ unless }) => {
    if (unless === undefined) throw new Error("asked without a condition");
    return { isNotModified: true, etag: undefined, lastModified: undefined, life: {}, headMs: 3, ...facts };
  };
}

/** 404. */
export const absent: Reply = () => undefined;

/** Fails without a usable response. */
export function failing(code: ErrorCode, details: ErrorDetails = {}): Reply {
  return () => {
    throw new HuiyuanError(code, "Cannot fetch: the test says so", details);
  };
}

/** A body that a test delivers step by step. */
export interface Arriving {
  /** Answers with this body. */
  readonly reply: Reply;
  send(bytes: Buffer): void;
  end(): void;
  fail(error: Error): void;
  /** True once the reader has ended the exchange. */
  readonly isDestroyed: boolean;
}

/**
 * Holds its bytes until the body is started, and while its reader has paused it. Fails with the abort reason if the
 * request is aborted.
 */
export function arriving(facts: HeadFacts = {}): Arriving {
  let sink: OriginSink | undefined;
  let isPaused = false;
  let isDestroyed = false;
  let isOver = false;
  let request: OriginRequest | undefined;
  const aborted = () => fail(request?.signal.reason as Error);
  const waiting: ((to: OriginSink) => void)[] = [];
  let settleEnd!: (error: Error | undefined) => void;
  const ended = new Promise<Error | undefined>((resolve) => {
    settleEnd = resolve;
  });

  function flow(): void {
    while (sink !== undefined && !isPaused && !isDestroyed) {
      const next = waiting.shift();
      if (next === undefined) return;
      next(sink);
    }
  }
  function then(step: (to: OriginSink) => void): void {
    waiting.push(step);
    flow();
  }
  function over(error?: Error): void {
    isOver = true;
    settleEnd(error);
    request?.signal.removeEventListener("abort", aborted);
  }
  function fail(error: Error): void {
    if (isOver) return;
    over(error);
    then((to) => to.error(error));
  }

  return {
    send: (bytes) =>
      then((to) => {
        isPaused = !to.data(bytes);
      }),
    end() {
      over();
      then((to) => to.end());
    },
    fail,
    get isDestroyed() {
      return isDestroyed;
    },
    reply(asked) {
      request = asked;
      // Many requests share one signal, so the listener is removed at the end.
      if (!isOver) asked.signal.addEventListener("abort", aborted);
      return {
        isNotModified: false,
        url: `http://origin.example/${asked.key}`,
        size: undefined,
        framing: facts.size === undefined ? "chunked" : "length",
        digests: {},
        etag: undefined,
        lastModified: undefined,
        life: {},
        headers: {},
        headMs: 7,
        desync: new CancellationSource(),
        ...facts,
        body: {
          start(to) {
            sink = to;
            flow();
          },
          resume() {
            isPaused = false;
            flow();
          },
          destroy() {
            isDestroyed = true;
            over();
          },
          over: ended,
        },
      };
    },
  };
}
