// The contract of every source of a migration. A new source is one `sourceContract()` in a test file, with a lab that
// gives the source its objects.
import { createHash } from "node:crypto";
import { afterEach, describe, expect, test } from "vitest";
import { HuiyuanError } from "../../src/core/errors.ts";
import type { Source, SourceObject, SourcePage } from "../../src/operate/migrations/source.ts";
import type { OriginAnswer } from "../../src/serve/origin/origin.ts";

/** A source whose objects the test decides. */
export interface SourceLab {
  /** A new source over the same objects, as a new process would make it. The lab closes it. */
  open(): Source;
  put(fileid: string, bytes: Buffer): Promise<void>;
  remove(fileid: string): Promise<void>;
  /** A listing of a source that is opened from now on fails, at its first page. */
  breakListing(): Promise<void>;
  close(): Promise<void>;
}

export interface SourceKind {
  readonly name: string;
  readonly open: () => Promise<SourceLab>;
  /** False: the listing says neither size nor version. */
  readonly knowsVersions: boolean;
  /** Must appear in no page, no URL and no message. */
  readonly secrets?: RegExp;
}

const NAMES = [
  "a.jpg",
  "2015/07/17/with space+plus%41.jpg",
  "中文/图片.png",
  "deep/er/and/deeper/x",
  "'quotes\"&?#.gif",
  "emoji-😀.webp",
];
const MANY = 1_200;
const MAX_PAGE = 1_000;
const AT_ONCE = 50;
const MAX_BYTES = 1_000_000;

export function sourceContract({ name, open, knowsVersions, secrets = /(?!)/ }: SourceKind): void {
  describe(`the source ${name}`, () => {
    let lab: SourceLab | undefined;
    afterEach(async () => {
      await lab?.close();
      lab = undefined;
    });

    async function labWith(names: readonly string[]): Promise<SourceLab> {
      lab = await open();
      const made = lab;
      for (let at = 0; at < names.length; at += AT_ONCE)
        await Promise.all(names.slice(at, at + AT_ONCE).map((each) => made.put(each, bytesOf(each))));
      return made;
    }

    test("lists each object once, with the size of its bytes if it knows it, and without secrets", async () => {
      const { open: source } = await labWith(NAMES);
      const pages = await listed(source());
      const objects = pages.flatMap((page) => page.objects);
      expect(objects.map(({ fileid }) => fileid).sort()).toEqual([...NAMES].sort());
      for (const { fileid, size, version } of objects) {
        if (knowsVersions) expect(size).toBe(bytesOf(fileid).byteLength);
        else expect(version).toBeUndefined();
      }
      expect(JSON.stringify(pages)).not.toMatch(secrets);
    });

    test("sends the bytes of a listed object, also to a reader that pauses", async () => {
      const source = (await labWith(NAMES)).open();
      for (const object of (await listed(source)).flatMap((page) => page.objects)) {
        const answer = await fetched(source, object);
        expect(answer?.url).not.toMatch(secrets);
        expect(await read(answer!, true)).toEqual(bytesOf(object.fileid));
      }
    });

    test("sends a large object whole", async () => {
      const made = await labWith([]);
      const bytes = Buffer.alloc(900_001, "0123456789");
      await made.put("large.bin", bytes);
      const source = made.open();
      const [object] = (await listed(source)).flatMap((page) => page.objects);
      expect(sha1(await read((await fetched(source, object!))!))).toBe(sha1(bytes));
    });

    test("answers undefined for an object that is gone", async () => {
      const made = await labWith(["a.jpg", "b.jpg"]);
      const source = made.open();
      const objects = (await listed(source)).flatMap((page) => page.objects);
      await made.remove("a.jpg");
      expect(await fetched(source, objects.find(({ fileid }) => fileid === "a.jpg")!)).toBeUndefined();
    });

    test("refuses an object beyond maxBytes with origin_too_large", async () => {
      const source = (await labWith(["a.jpg"])).open();
      const [object] = (await listed(source)).flatMap((page) => page.objects);
      const refused = async () => {
        const answer = await fetched(source, object!, 3);
        return read(answer!);
      };
      await expect(refused()).rejects.toMatchObject({ code: "origin_too_large" });
    });

    test("gives an object that was replaced another version or size", { skip: !knowsVersions }, async () => {
      const made = await labWith(["a.jpg"]);
      const before = await listed(made.open());
      await made.put("a.jpg", Buffer.from("other bytes of another length"));
      const after = await listed(made.open());
      expect(facts(after)).not.toEqual(facts(before));
    });

    test("lists many objects in bounded pages, and continues behind a cursor", async () => {
      const names = Array.from({ length: MANY }, (_, index) => `many/${String(index).padStart(6, "0")}.jpg`);
      const made = await labWith(names);
      const source = made.open();
      const pages = await listed(source);
      expect(Math.max(...pages.map(({ objects }) => objects.length))).toBeLessThanOrEqual(MAX_PAGE);
      const all = pages.flatMap((page) => page.objects);
      expect(new Set(all.map(({ fileid }) => fileid)).size).toBe(MANY);
      expect(all.length).toBe(MANY);
      if (!source.isResumable) return;
      const at = pages.findIndex(({ cursor }) => cursor !== undefined);
      const rest = await listed(made.open(), pages[at]?.cursor);
      const before = pages.slice(0, at + 1).flatMap((page) => page.objects);
      expect([...before, ...rest.flatMap((page) => page.objects)]).toEqual(all);
    });

    // A failure behind the first page differs for each source; the tests of each have it.
    test("throws if its listing fails, and never ends early", async () => {
      const made = await labWith(NAMES);
      await made.breakListing();
      await expect(listed(made.open())).rejects.toBeInstanceOf(HuiyuanError);
    });

    test("ends a listing when the signal aborts", async () => {
      const source = (await labWith(NAMES)).open();
      const reason = new Error("enough");
      const listing = source.list(undefined, AbortSignal.abort(reason))[Symbol.asyncIterator]();
      await expect(listing.next()).rejects.toBe(reason);
    });
  });
}

function bytesOf(name: string): Buffer {
  return Buffer.from(`the bytes of ${name}`);
}

export async function listed(source: Source, after?: string): Promise<SourcePage[]> {
  const pages: SourcePage[] = [];
  for await (const page of source.list(after, new AbortController().signal)) pages.push(page);
  return pages;
}

function facts(pages: readonly SourcePage[]) {
  return pages.flatMap(({ objects }) => objects.map(({ size, version }) => ({ size, version })));
}

async function fetched(source: Source, object: SourceObject, maxBytes = MAX_BYTES): Promise<OriginAnswer | undefined> {
  const answer = await source.fetch({ object, maxBytes, signal: new AbortController().signal });
  if (answer?.isNotModified) throw new Error("304 without a condition");
  return answer;
}

/** `pauses`: after each chunk. */
export function read({ body }: OriginAnswer, pauses = false): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    body.start({
      data(chunk) {
        chunks.push(Buffer.from(chunk));
        if (pauses) setImmediate(() => body.resume());
        return !pauses;
      },
      end: () => resolve(Buffer.concat(chunks)),
      error: reject,
    });
  });
}

function sha1(bytes: Buffer): string {
  return createHash("sha1").update(bytes).digest("hex");
}
