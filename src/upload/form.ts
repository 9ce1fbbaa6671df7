// A multipart form while it arrives: the fields that the API knows, and the file part as a stream. Every part of it is
// bounded; what is not known is passed over. It is the one door of busboy.
import type { Readable } from "node:stream";
import { Busboy, type Dicer } from "@fastify/busboy";
import { asHuiyuanError, HuiyuanError } from "../core/errors.ts";

/** The fields that mean something here, in lower case as they are compared. */
const FIELD_NAMES = ["op", "sha", "filesize", "slice_size", "session", "offset", "magiccontext", "md5"] as const;
const FILE_NAME = "filecontent";

export type FormFields = { readonly [Name in (typeof FIELD_NAMES)[number]]?: string };

export interface Form {
  /** Those that have arrived. */
  readonly fields: FormFields;
  /** The file part when it begins, to be read to its end; undefined where the form ends without one. */
  file(): Promise<Readable | undefined>;
  /** All fields, at the end of the form. */
  end(): Promise<FormFields>;
  /** Reads no more; the file part breaks. What still arrives is the caller's. */
  stop(): void;
}

export interface FormOptions {
  /** Of the request. */
  readonly contentType: string;
  /** Of the whole form. */
  readonly maxBytes: number;
  /**
   * A form that brings nothing for `idleMs`, also where all of it has come and it does not end, or that has not ended
   * within `totalMs`, is given up. While the file lies unread, `idleMs` does not run.
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
 * Begins to read. Its methods throw form_broken, form_value_invalid (too long, or given twice), upload_size (over
 * `maxBytes`), body_late and client_gone.
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
    // While the disk is waited for, the client has nothing to be blamed for. A source that is paused does not tell: the
    // parser may wait for nobody.
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
      fail(new HuiyuanError("upload_size", `Cannot take a form of over ${options.maxBytes} bytes`));
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
    // The parser breaks it once more after it was given up.
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
  parser.on("error", (error: unknown) => fail(brokenError("it does not end as one", error)));
  parser.on("drain", () => void source.resume());

  const onGone = () => {
    // Whoever has sent all of it may leave; should the form not end, `idle` ends it.
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
      // Every upload ends here, and making an error is dear.
      if (!isOver) fail(new HuiyuanError("client_gone", "Cannot read the form: it was given up"));
    },
  };
}

type Parser = InstanceType<typeof Busboy>;

function openParser(contentType: string): Parser {
  try {
    return new Busboy({
      headers: { "content-type": contentType },
      // By its name alone: clients leave file name and type out, or write anything.
      isPartAFile: (name) => name?.toLowerCase() === FILE_NAME,
      limits: LIMITS,
    });
  } catch (error) {
    throw brokenError("it has no boundary", error);
  }
}

/**
 * Makes every part of the form take whatever comes. What is in no field and no file (a part that is no form-data, the
 * surplus of a field) lies in its part for a moment; at 16 KiB of that the parser would stand still until the part is
 * read: for good where the part has ended by then, and with a loss in the field behind it where it has not. Only a file may
 * hold the parser, which it does in another way. How the parts are reached is busboy's own affair, not its interface: the
 * tests of `readForm()` with parts that are passed over fail where that changes.
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

/** A promise for whoever asks; nobody may. The first settling holds. */
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
