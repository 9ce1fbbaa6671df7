// Multipart forms as they arrive: the result does not depend on the chunks, and every part is bounded.
import { once } from "node:events";
import { Readable } from "node:stream";
import { setTimeout } from "node:timers/promises";
import { Busboy } from "@fastify/busboy";
import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { type FormFields, isForm, readForm } from "../../../../src/serve/upload/form.ts";
import { type MadeForm, makeForm } from "../../../helpers/rest-api.ts";

interface Read {
  readonly fields: FormFields;
  readonly file: Buffer | undefined;
}

const LIMITS = { maxBytes: 1_000_000, idleMs: 5_000, totalMs: 5_000 };
const PATIENT = { ...LIMITS, totalMs: 60_000 };

function cutAt(body: Buffer, cuts: readonly number[]): Buffer[] {
  const ends = [...cuts.map((cut) => cut % (body.byteLength + 1)), body.byteLength].sort((one, other) => one - other);
  return ends.map((end, index) => body.subarray(ends[index - 1] ?? 0, end)).filter((piece) => piece.length > 0);
}

async function readAll({ contentType, body }: MadeForm, cuts: readonly number[] = [], limits = LIMITS): Promise<Read> {
  return readFrom(Readable.from(cutAt(body, cuts), { objectMode: false }), contentType, limits);
}

async function readFrom(source: Readable, contentType: string, limits = LIMITS): Promise<Read> {
  const form = readForm(source, { contentType, ...limits });
  const stream = await form.file();
  let file: Buffer | undefined;
  if (stream !== undefined) {
    const parts: Buffer[] = [];
    for await (const part of stream as AsyncIterable<Buffer>) parts.push(part);
    file = Buffer.concat(parts);
  }
  return { fields: await form.end(), file };
}

const IMAGE = Buffer.concat([
  Buffer.from("\r\n--\r\n----------------------------7e1d2c\r\n\r\n"),
  Buffer.alloc(40_000, "\r\n-"),
]);
const FORM = makeForm([
  { name: "magiccontext", content: '{"a":"é&=+ %"}' },
  { name: "fileContent", content: IMAGE, filename: "x" },
  { name: "MD5", content: "ABC" },
  { name: "unknown", content: "x".repeat(50_000) },
]);
const READ: Read = { fields: { magiccontext: '{"a":"é&=+ %"}', md5: "ABC" }, file: IMAGE };

/** Heads of parts that are neither a field nor a file, so such parts are skipped. */
const SKIPPED = {
  "another disposition": 'Content-Disposition: attachment; name="FileContent"\r\n\r\n',
  "no disposition": "Content-Type: image/jpeg\r\n\r\n",
  "no headers": "\r\n",
  "a line break in its name": 'Content-Disposition: form-data; name="File\nContent"\r\n\r\n',
};
const FIELD = 'Content-Disposition: form-data; name="unknown"\r\n\r\n';
const FILE = 'Content-Disposition: form-data; name="FileContent"\r\n\r\n';
/** Sizes around 16 KiB, above which a part fills its buffer at once. */
const SIZES = [0, 1, 16_300, 16_383, 16_384, 16_385, 20_000, 33_000, 66_000, 140_000];

interface RawPart {
  readonly head: string;
  readonly content: Buffer;
}

function rawForm(parts: readonly RawPart[], { preamble = "", epilogue = "" } = {}): MadeForm {
  const pieces = parts.flatMap(({ head, content }) => [Buffer.from(`\r\n--bd\r\n${head}`), content]);
  const ends = [Buffer.from(preamble), ...pieces, Buffer.from(`\r\n--bd--\r\n${epilogue}`)];
  return { contentType: "multipart/form-data; boundary=bd", body: Buffer.concat(ends) };
}

/** Delivers all pieces in one turn, as if they had arrived before the first read. */
function atOnce(pieces: readonly Buffer[]): Readable {
  const source = new Readable({ read() {} });
  for (const piece of [...pieces, null]) source.push(piece);
  return source;
}

describe("readForm()", () => {
  test("returns the same for any chunks of the form", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(200_000), { maxLength: 30 }), async (cuts) => {
        const { fields, file } = await readAll(FORM, cuts);
        expect([fields, file?.equals(IMAGE)]).toEqual([READ.fields, true]);
      }),
      { numRuns: 60 },
    );
  });

  test("skips preamble and epilogue", async () => {
    const body = Buffer.concat([Buffer.from("preamble\r\n"), FORM.body, Buffer.from("epilogue")]);
    expect(await readAll({ ...FORM, body })).toEqual(READ);
  });

  test.each(Object.entries(SKIPPED))("skips a part with %s, for any size and chunks", async (_, head) => {
    const file = { head: FILE, content: IMAGE };
    for (const size of SIZES) {
      const part = { head, content: Buffer.alloc(size, "z") };
      for (const parts of [[part], [file, part], [part, file], [part, part], [part, { ...part, head: FIELD }]]) {
        const { contentType, body } = rawForm(parts);
        const hasFile = parts.includes(file);
        for (const step of [1_000, 16_384, 65_536, body.length - 1, body.length - 9, body.length]) {
          const pieces = cutAt(
            body,
            Array.from({ length: Math.floor(body.length / step) }, (__, index) => index * step),
          );
          for (const source of [atOnce(pieces), Readable.from(pieces, { objectMode: false })]) {
            const read = await readFrom(source, contentType);
            expect([size, step, read.file?.equals(IMAGE) ?? false]).toEqual([size, step, hasFile]);
          }
        }
      }
    }
  });

  test.each([FIELD, ...Object.values(SKIPPED)])("reads all of a field behind %j", async (head) => {
    const value = "v".repeat(10_000);
    const { contentType, body } = rawForm([
      { head, content: Buffer.alloc(40_000, "z") },
      { head: 'Content-Disposition: form-data; name="md5"\r\n\r\n', content: Buffer.from(value) },
      { head: FIELD, content: Buffer.from("z") },
    ]);
    const pieces = cutAt(body, [15_000, 30_000, body.indexOf(value) + 100]);
    expect((await readFrom(atOnce(pieces), contentType)).fields).toEqual({ md5: value });
  });

  test("returns the same for any parts, preamble and epilogue in any chunks", async () => {
    const size = fc.oneof(fc.constantFrom(...SIZES), fc.nat(80_000));
    const head = fc.constantFrom(FIELD, ...Object.values(SKIPPED));
    const part = fc.record({ head, content: size.map((length) => Buffer.alloc(length, "\r\n-z")) });
    const text = size.map((length) => "y".repeat(length));
    const cuts = fc.array(fc.nat(900_000), { maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(
        fc.array(part, { maxLength: 4 }),
        fc.array(part, { maxLength: 4 }),
        fc.record({ preamble: text, epilogue: text }),
        cuts,
        fc.boolean(),
        async (before, after, around, places, isAtOnce) => {
          const { contentType, body } = rawForm([...before, { head: FILE, content: IMAGE }, ...after], around);
          const pieces = cutAt(body, places);
          const source = isAtOnce ? atOnce(pieces) : Readable.from(pieces, { objectMode: false });
          const { fields, file } = await readFrom(source, contentType);
          expect([fields, file?.equals(IMAGE)]).toEqual([{}, true]);
        },
      ),
      { numRuns: 200 },
    );
  });

  test("returns neither file nor fields for a closing boundary alone", async () => {
    expect(await readAll(makeForm([]))).toEqual({ fields: {}, file: undefined });
  });

  test.each([
    ["form_broken", { ...FORM, body: FORM.body.subarray(0, 5_000) }, LIMITS],
    ["form_broken", { ...FORM, body: Buffer.alloc(0) }, LIMITS],
    ["form_broken", { ...FORM, contentType: "multipart/form-data" }, LIMITS],
    ["upload_size", FORM, { ...LIMITS, maxBytes: 10_000 }],
    ["form_value_invalid", makeForm([{ name: "op", content: "x".repeat(16_385) }]), LIMITS],
  ])("throws %s", async (code, form, limits) => {
    await expect(readAll(form, [], limits)).rejects.toMatchObject({ code });
  });

  test("throws body_late and client_gone, and destroys the file", async () => {
    const source = new Readable({ read() {} });
    const form = readForm(source, { contentType: FORM.contentType, ...LIMITS, idleMs: 30 });
    source.push(FORM.body.subarray(0, 5_000));
    const file = await form.file();
    const reading = (async () => {
      for await (const _ of file as AsyncIterable<Buffer>);
    })();
    await expect(reading).rejects.toMatchObject({ code: "body_late" });
    await expect(form.end()).rejects.toMatchObject({ code: "body_late" });
    const other = new Readable({ read() {} });
    const left = readForm(other, { contentType: FORM.contentType, ...LIMITS });
    other.destroy();
    await expect(left.file()).rejects.toMatchObject({ code: "client_gone" });
  });

  test.each([
    ["some of", IMAGE, 20_000],
    ["all of", IMAGE, Number.POSITIVE_INFINITY],
    ["all of a small", Buffer.alloc(5_000), Number.POSITIVE_INFINITY],
  ])("waits for a slow reader of the file after %s form has arrived", async (_, content, end) => {
    const { contentType, body } = makeForm([{ name: "FileContent", content }]);
    const source = new Readable({ read() {} });
    const form = readForm(source, { contentType, ...LIMITS, idleMs: 30 });
    source.push(body.subarray(0, end));
    if (end > body.length) source.push(null);
    const file = await form.file();
    await setTimeout(120);
    if (end <= body.length) for (const piece of [body.subarray(end), null]) source.push(piece);
    const parts = await file?.toArray();
    expect([Buffer.concat(parts ?? []).equals(content), await form.end()]).toEqual([true, {}]);
  });

  test("throws body_late if the source is paused but no file bytes are unread", async () => {
    const paused = atOnce([FORM.body]);
    const form = readForm(paused, { contentType: FORM.contentType, ...PATIENT, idleMs: 30 });
    paused.pause();
    await expect(form.file()).rejects.toMatchObject({ code: "body_late" });
  });

  test.each([true, false])("throws body_late if the parser stalls and its write() returns %s", async (written) => {
    vi.spyOn(Busboy.prototype, "write").mockReturnValue(written);
    vi.spyOn(Busboy.prototype, "end").mockReturnThis();
    try {
      const source = atOnce([FORM.body]);
      const form = readForm(source, { contentType: FORM.contentType, ...PATIENT, idleMs: 30 });
      if (written) await once(source, "close");
      await expect(form.end()).rejects.toMatchObject({ code: "body_late" });
    } finally {
      vi.restoreAllMocks();
    }
  });
});

test.each([
  ["multipart/form-data; boundary=x", true],
  ["Multipart/Form-Data;boundary=x", true],
  ["multipart/form-data", true],
  ["multipart/form-database", false],
  ["application/x-www-form-urlencoded", false],
  [undefined, false],
])("isForm(%j) is %s", (type, is) => {
  expect(isForm(type)).toBe(is);
});
