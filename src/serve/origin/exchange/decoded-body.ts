// Decodes a body with a Content-Encoding while it arrives. Fails the body if it is not in that coding, is truncated,
// goes on after its end, or becomes too large in bytes or in proportion to the received ones.
import { createHash } from "node:crypto";
import type { Transform } from "node:stream";
import { createBrotliDecompress, createGunzip, createInflate, createInflateRaw, type Zlib } from "node:zlib";
import { type ErrorCode, HuiyuanError } from "../../../core/errors.ts";
import type { DeclaredDigests } from "../../body/gate/gate.ts";
import type { OriginBody, OriginSink } from "../origin.ts";

export type ContentCoding = "gzip" | "deflate" | "br";

/** Bytes of the windows of all brotli decoders of the program. A window grows with the bytes that it has decoded. */
export interface BrotliWindows {
  bytes: number;
}

export interface DecodingOptions {
  readonly coding: ContentCoding;
  /** Bytes of the decoded body; a longer one is origin_too_large. */
  readonly maxBytes: number;
  /** Before the end, those that are right for the coded bytes are removed; the others are left for the decoded ones. */
  readonly digests: { -readonly [Name in keyof DeclaredDigests]: DeclaredDigests[Name] };
  readonly windows: BrotliWindows;
  /** For messages. */
  readonly url: string;
}

/** Bytes that wait for the end or for more, so that a small image is judged before a client gets its head. */
const HELD_BYTES = 65_536;
/** A body may grow by this factor, and a small one by any. Pictures and text rarely shrink to a twentieth. */
const MAX_RATIO = 100;
const ANY_RATIO_BYTES = 1_048_576;
/** The largest window of brotli (RFC 7932 §9.1); that of gzip and deflate has 32 KiB. */
const MAX_WINDOW_BYTES = 16_777_216;
const MAX_WINDOWS_BYTES = 134_217_728;

/**
 * The decoded body. Its sink also gets origin_encoded, origin_truncated, origin_too_large, and overloaded if the
 * windows of brotli are used up. A class, because the events of two streams share its state.
 */
export class DecodedBody implements OriginBody {
  readonly over: Promise<Error | undefined>;
  readonly #body: OriginBody;
  readonly #options: DecodingOptions;
  readonly #hashers;
  #sink: OriginSink | undefined;
  #decoder: (Transform & Zlib) | undefined;
  /** Undefined once more has come than is held. */
  #held: Buffer[] | undefined = [];
  #received = 0;
  #decoded = 0;
  #window = 0;
  #isBodyOver = false;
  #isDecoded = false;

  constructor(body: OriginBody, options: DecodingOptions) {
    this.#body = body;
    this.#options = options;
    this.over = body.over;
    const names = Object.keys(options.digests) as (keyof DeclaredDigests)[];
    this.#hashers = names.map((name) => ({ name, hasher: createHash(name) }));
  }

  start(sink: OriginSink): void {
    this.#sink = sink;
    this.#body.start({
      data: (chunk) => this.#push(chunk),
      end: () => {
        this.#isBodyOver = true;
        if (this.#decoder === undefined || this.#isDecoded) this.#finish();
        else this.#decoder.end();
      },
      error: (error) => this.#fail(error),
    });
  }

  resume(): void {
    this.#decoder?.resume();
  }

  destroy(): void {
    this.#release();
    this.#body.destroy();
  }

  /** Returns false if the decoder wants a pause. */
  #push(chunk: Buffer): boolean {
    this.#received += chunk.length;
    for (const { hasher } of this.#hashers) hasher.update(chunk);
    if (this.#isDecoded) return this.#refuse("origin_encoded", "bytes follow its end");
    this.#decoder ??= this.#open(chunk);
    return this.#decoder.write(chunk);
  }

  #open([first = 0]: Buffer): Transform & Zlib {
    const decoder = createDecoder(this.#options.coding, first);
    decoder.on("data", (bytes: Buffer) => {
      // After resume() and destroy() in one turn, the decoder still emits what it holds.
      if (this.#sink === undefined) return;
      if (!this.#isRefused(bytes.length) && this.#pass(bytes) === false) decoder.pause();
    });
    decoder.on("drain", () => this.#body.resume());
    decoder.on("error", (cause: NodeJS.ErrnoException) =>
      this.#refuse(cause.code === "Z_BUF_ERROR" ? "origin_truncated" : "origin_encoded", cause.message, cause),
    );
    decoder.on("end", () => {
      this.#isDecoded = true;
      if (this.#isBodyOver) this.#finish();
      else this.#body.resume(); // A decoder takes no bytes after its end, so there is no "drain".
    });
    return decoder;
  }

  /** As OriginSink.data(). */
  #pass(bytes: Buffer): boolean | undefined {
    if (this.#held === undefined) return this.#sink?.data(bytes);
    this.#held.push(bytes);
    return this.#decoded > HELD_BYTES ? this.#passHeld(this.#held) : true;
  }

  #passHeld(held: readonly Buffer[]): boolean | undefined {
    this.#held = undefined;
    return held.length === 0 ? true : this.#sink?.data(Buffer.concat(held));
  }

  /** Counts decoded bytes, and refuses the body if they are too many. */
  #isRefused(bytes: number): boolean {
    const { coding, maxBytes, windows } = this.#options;
    this.#decoded += bytes;
    if (this.#decoded > maxBytes) return !this.#refuse("origin_too_large", `over ${maxBytes} bytes`);
    if (this.#decoded > Math.max(ANY_RATIO_BYTES, this.#received * MAX_RATIO))
      return !this.#refuse("origin_too_large", `over ${MAX_RATIO} times the ${this.#received} bytes that arrived`);
    if (coding !== "br") return false;
    const growth = Math.min(this.#decoded, MAX_WINDOW_BYTES) - this.#window;
    this.#window += growth;
    windows.bytes += growth;
    return windows.bytes > MAX_WINDOWS_BYTES && !this.#refuse("overloaded", "the memory of brotli decoders is used up");
  }

  /** The body and its coding have ended. */
  #finish(): void {
    const { digests } = this.#options;
    if (this.#decoder !== undefined && this.#decoder.bytesWritten !== this.#received) {
      this.#refuse("origin_encoded", "bytes follow its end");
      return;
    }
    for (const { name, hasher } of this.#hashers)
      if (digests[name]?.equals(hasher.digest()) === true) delete digests[name];
    if (this.#held !== undefined) this.#passHeld(this.#held);
    this.#release()?.end();
  }

  /** Always false: no more bytes are wanted. */
  #refuse(code: ErrorCode, found: string, cause?: Error): false {
    const { coding, url } = this.#options;
    const error = new HuiyuanError(code, `Cannot decode the ${coding} body of ${url}: ${found}`, {
      ...(cause !== undefined && { cause }),
      ...(code === "overloaded" && { retryAfterSeconds: 1 }),
    });
    this.#body.destroy();
    this.#fail(error);
    return false;
  }

  #fail(error: Error): void {
    this.#release()?.error(error);
  }

  /** Frees the decoder. Returns the sink, which gets no more calls from here. */
  #release(): OriginSink | undefined {
    const sink = this.#sink;
    this.#sink = undefined;
    this.#decoder?.destroy();
    this.#options.windows.bytes -= this.#window;
    this.#window = 0;
    return sink;
  }
}

/** Servers send `deflate` with the zlib header of RFC 1950 or without; the first byte tells. */
function createDecoder(coding: ContentCoding, first: number): Transform & Zlib {
  if (coding === "gzip") return createGunzip();
  if (coding === "br") return createBrotliDecompress();
  return (first & 0x0f) === 8 ? createInflate() : createInflateRaw();
}
