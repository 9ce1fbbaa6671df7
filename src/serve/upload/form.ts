// Reads a multipart form as it arrives: the known fields, and the file part as a stream. Every part is bounded; unknown
// parts are skipped. The only file that imports busboy.
import type { Readable } from "node:stream";
import { Busboy, type Dicer } from "@fastify/busboy";
import { asHuiyuanError, HuiyuanError } from "../../core/errors.ts";

/** Known fields, in lower case because they are compared without case. */
const FIELD_NAMES = ["op", "sha", "filesize", "slice_size", "session", "offset", "magiccontext", "md5"] as const;
const FILE_NAME = "filecontent";

export type FormFields = { readonly [Name in (typeof FIELD_NAMES)[number]]?: string };

export interface Form {
  /** The fields that have arrived so far. */
  readonly fields: FormFields;
  /** Resolves when the file part begins; the caller reads it to its end. Undefined if the form ends without one. */
  file(): Promise<Readable | undefined>;
  /** Resolves with all fields at the end of the form. */
  end(): Promise<FormFields>;
  /** Stops reading; the file part fails. The caller deals with bytes that still arrive. */
  stop(): void;
}

export interface FormOptions {
  /** Content-Type of the request. */
  readonly contentType: string;
  /** Limit for the whole form. */
  readonly maxBytes: number;
  /**
   * The form fails with body_late if no byte arrives for `idleMs`, or if it has not ended within `totalMs`. `idleMs`
   * also counts after all bytes have come but the form has not ended; it does not count while the file is unread.
   */
  readonly idleMs: number;
  readonly totalMs: number;
}

const LIMITS = { fieldSize: 16_384, fields: 32, files: 1, parts: 64, headerPairs: 32, headerSize: 8_192 };

/** Whether a request with this Content-Type may hold a form. */
export function isForm(contentType: string | undefined): contentType is string {
  return /^\s*multipart\/form-data\s*(?:;|$)/i.test(contentType ?? "");
}

/**
 * Starts reading. The form's methods throw form_broken, form_value_invalid (too long, or two values), upload_size (more
 * than `maxBytes`), body_late and client_gone.
 */
export function readForm(source: Readable, options: FormOptions): Form {
  const fields: { [Name in (typeof FIELD_NAMES)[number]]?: string } = {};
  const begun = deferred<Readable | undefined>();
  const ended = deferred<FormFields>();
  let file: Readable | undefined;
  let received = 0;
  let isOver = false;

  const parser = openParser(options.contentType);
  neverPauseForParts(parser);
  const idle = setTimeout(() => {
    // Unread file bytes mean that the disk is slow, not the client. A paused source is no proof of that, because the
    // parser can also stall with no reader behind it.
    if (file !== undefined && file.readableLength > 0) idle.refresh();
    else fail(lateError(`${options.idleMs} ms without a byte`));
  }, options.idleMs);
  const total = setTimeout(() => fail(lateError(`no end within ${options.totalMs} ms`)), options.totalMs);

  function stopReading(): void {
    isOver = true;
    clearTimeout(idle);
    clearTimeout(total);
    for (const [event, listen] of listeners) source.off(event, listen);
  }

  function fail(error: HuiyuanError): void {
    stopReading();
    begun.reject(error);
    ended.reject(error);
    file?.destroy(error);
  }

  function take(chunk: Buffer): void {
    received += chunk.byteLength;
    if (received > options.maxBytes) {
      fail(new HuiyuanError("upload_size", `Cannot accept the form: more than ${options.maxBytes} bytes`));
      return;
    }
    idle.refresh();
    if (!parser.write(chunk)) source.pause();
  }

  parser.on("field", (name: string | undefined, value, _, isCut) => {
    const known = FIELD_NAMES.find((field) => field === name?.toLowerCase());
    if (known === undefined) return;
    if (isCut) return fail(valueError(known, `more than ${LIMITS.fieldSize} bytes`));
    if (fields[known] !== undefined && fields[known] !== value) return fail(valueError(known, "two values"));
    fields[known] = value;
  });
  parser.on("file", (_, stream) => {
    file = stream;
    // The parser may emit a second error after the form has failed.
    stream.on("error", () => undefined);
    begun.resolve(stream);
  });
  parser.on("finish", () => {
    stopReading();
    begun.resolve(undefined);
    ended.resolve(fields);
  });
  for (const limit of ["partsLimit", "filesLimit", "fieldsLimit"] as const) {
    parser.on(limit, () => fail(brokenError("it has too many parts")));
  }
  parser.on("error", (error: unknown) => fail(brokenError("it is not well-formed", error)));
  parser.on("drain", () => void source.resume());

  const onGone = () => {
    // A client that has sent everything may disconnect. If the form does not end then, `idle` ends it.
    if (!source.readableEnded)
      fail(new HuiyuanError("client_gone", "Cannot read the form: the client has closed the connection"));
  };
  const listeners = [
    ["data", take],
    ["end", () => void parser.end()],
    ["error", onGone],
    ["close", onGone],
  ] as const;
  for (const [event, listen] of listeners) source.on(event, listen);

  return {
    fields,
    file: () => begun.promise,
    end: () => ended.promise,
    stop() {
      // Every upload calls stop(), and creating an error is expensive.
      if (!isOver) fail(new HuiyuanError("client_gone", "Cannot read the form: the upload was cancelled"));
    },
  };
}

type Parser = InstanceType<typeof Busboy>;

function openParser(contentType: string): Parser {
  try {
    return new Busboy({
      headers: { "content-type": contentType },
      // By the field name alone: clients omit the file name and type or send arbitrary ones.
      isPartAFile: (name) => name?.toLowerCase() === FILE_NAME,
      limits: LIMITS,
    });
  } catch (error) {
    throw brokenError("it has no boundary", error);
  }
}

/**
 * Makes every part accept all bytes. Nobody reads a part that is no form-data, or the excess of a field. At 16 KiB of
 * such bytes the parser would stop: for ever if the part has ended, else with a loss in the next field. Only a file may
 * stop the parser, which it does in another way. `_parser` is internal to busboy; if it changes, the tests of
 * `readForm()` with skipped parts fail.
 */
function neverPauseForParts(parser: Parser): void {
  const { parser: parts } = (parser as unknown as { readonly _parser: { readonly parser: Dicer } })._parser;
  parts.on("part", (part) => {
    const push = part.push.bind(part);
    part.push = (chunk) => {
      push(chunk);
      return true;
    };
  });
}

/**
 * A promise that is settled from outside; the first settlement counts. It may have no reader, so rejections are
 * handled.
 */
function deferred<Value>() {
  let resolve!: (value: Value) => void;
  let reject!: (error: HuiyuanError) => void;
  const promise = new Promise<Value>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  promise.catch(() => undefined);
  return { promise, resolve, reject };
}

function brokenError(found: string, cause?: unknown): HuiyuanError {
  const details = cause === undefined ? {} : { cause: asHuiyuanError(cause) };
  return new HuiyuanError("form_broken", `Cannot read the form: ${found}`, details);
}

function valueError(name: string, found: string): HuiyuanError {
  return new HuiyuanError("form_value_invalid", `Cannot read the form: ${name} has ${found}`);
}

function lateError(found: string): HuiyuanError {
  return new HuiyuanError("body_late", `Cannot read the form: ${found}`);
}
