// The contract of every target of a migration. A new target is one `targetContract()` in a test file, with a lab that
// opens the target over a store of its own.
import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ObjectInfo } from "../../src/core/object.ts";
import type { Replacement } from "../../src/operate/migrations/contract.ts";
import type { PutOutcome, Target } from "../../src/operate/migrations/target.ts";
import type { WholeBody } from "../../src/serve/body/spool/spool.ts";
import { noisyJpeg } from "../helpers/images.ts";
import { NEVER } from "../helpers/spools.ts";
import { infoOf, wholeBody, wholeBodyInFile } from "../helpers/whole-body.ts";

export interface TargetLab {
  readonly target: Target;
  /** A folder for the files of bodies, on the file system of the store. */
  readonly dir: string;
  /** The stored bytes; undefined if there is no object. */
  bytesOf(fileid: string): Promise<Buffer | undefined>;
  /** Deletes it as an operator does. */
  delete(fileid: string): Promise<void>;
  /** Puts it as an upload does. */
  upload(fileid: string, bytes: Buffer): Promise<void>;
  close(): Promise<void>;
}

export interface TargetKind {
  readonly name: string;
  readonly open: () => Promise<TargetLab>;
  /** Bytes of the longest name; default 1,024. */
  readonly maxName?: number;
  /** False: it never replaces an object. Default true. */
  readonly canReplace?: boolean;
}

const NAMES = ["a.jpg", "a b/ü 图+%25?&=#;.jpg", "LONGEST", "http:%2F%2Fh/a.jpg"];

export function targetContract({ name, open, maxName = 1_024, canReplace = true }: TargetKind): void {
  describe(`the target ${name}`, { timeout: 60_000 }, () => {
    let lab: TargetLab;
    let jpeg: Buffer;
    // One for all tests: each has names of its own.
    beforeAll(async () => {
      jpeg = await noisyJpeg(24, 24);
      lab = await open();
    });
    afterAll(() => lab?.close());

    /** A JPEG with bytes of its own. */
    const image = (text: string, size = 0) => {
      const bytes = Buffer.concat([Buffer.from(text), Buffer.alloc(size)]);
      return Buffer.concat([jpeg, bytes]);
    };
    const infoFor = (fileid: string, body: WholeBody, modifiedAt = 2_000): ObjectInfo => {
      const { provenance, ...info } = infoOf(fileid, body, "migration");
      const originLastModified = new Date(modifiedAt).toUTCString();
      return { ...info, modifiedAt, provenance: { ...provenance, originLastModified } };
    };
    async function put(fileid: string, bytes: Buffer, replace: Replacement = "none", modifiedAt?: number) {
      const body = wholeBody(bytes);
      const info = infoFor(fileid, body, modifiedAt);
      return lab.target.put({ info, body, replace, signal: NEVER });
    }

    test.each(NAMES)("stores %j once, and knows it then", async (named) => {
      const fileid = named === "LONGEST" ? "x".repeat(maxName) : named;
      const bytes = image(fileid);
      expect(await lab.target.look(fileid, NEVER)).toEqual({ state: "absent" });
      expect(await put(fileid, bytes)).toBe("stored");
      expect(await lab.bytesOf(fileid)).toEqual(bytes);
      const found = await lab.target.look(fileid, NEVER);
      expect(found).toMatchObject({ state: "object", size: bytes.byteLength });
      const hash = (algorithm: string) => createHash(algorithm).update(bytes).digest("hex");
      if (found.state === "object") expect(found.md5 ?? hash("md5")).toBe(hash("md5"));
      const { readSha256 } = lab.target;
      if (readSha256 !== undefined) {
        expect(await readSha256(fileid, NEVER)).toBe(hash("sha256"));
        expect(await readSha256("absent.jpg", NEVER)).toBeUndefined();
      }
      expect(await put(fileid, bytes)).toBe("same");
      expect(await put(fileid, image("others"))).toBe("differs");
      expect(await lab.bytesOf(fileid)).toEqual(bytes);
    });

    test("stores a large body from its file", async () => {
      const bytes = image("large", 3_000_000);
      const path = join(lab.dir, "large.part");
      writeFileSync(path, bytes);
      const body = wholeBodyInFile(bytes, path);
      const request = { info: infoFor("large.jpg", body), body, replace: "none", signal: NEVER } as const;
      expect(await lab.target.put(request)).toBe("stored");
      // Vitest takes seconds to compare so many bytes one by one.
      expect((await lab.bytesOf("large.jpg"))?.equals(bytes)).toBe(true);
    });

    test("settles a race of equal names: one is stored, and the others differ", async () => {
      const bodies = Array.from({ length: 10 }, (_, index) => image(`racer ${index}`));
      const outcomes = await Promise.all(bodies.map((bytes) => put("race.jpg", bytes)));
      expect(outcomes.filter((outcome) => outcome === "stored")).toHaveLength(1);
      expect(outcomes.filter((outcome) => outcome === "differs")).toHaveLength(9);
      expect(await lab.bytesOf("race.jpg")).toEqual(bodies[outcomes.indexOf("stored")]);
    });

    test("never replaces an upload unless it is told to", async () => {
      const upload = image("an upload");
      await lab.upload("taken.jpg", upload);
      const replacements: Replacement[] = canReplace ? ["none", "migrated"] : ["none"];
      for (const replace of replacements) expect(await put("taken.jpg", image("other"), replace)).toBe("differs");
      expect(await lab.bytesOf("taken.jpg")).toEqual(upload);
    });

    test("replaces what it may", { skip: !canReplace }, async () => {
      const outcomes: PutOutcome[] = [];
      const change = async (...more: Parameters<typeof put>) => void outcomes.push(await put(...more));
      await change("r.jpg", image("1"), "none", 5_000);
      await change("r.jpg", image("2"), "newer", 4_000);
      await change("r.jpg", image("3"), "newer", 6_000);
      await change("r.jpg", image("4"), "migrated", 1_000);
      await change("r.jpg", image("5"), "always", 1_000);
      await change("r.jpg", image("5"), "always", 1_000);
      expect(outcomes).toEqual(["stored", "differs", "stored", "stored", "stored", "same"]);
      expect(await lab.bytesOf("r.jpg")).toEqual(image("5"));
    });

    // An upload over the REST API ends a tombstone.
    const tombstone = "respects a tombstone, whatever it may replace, and knows the validators of the source";
    test(tombstone, { skip: !canReplace }, async () => {
      await put("t.jpg", image("t"));
      const originLastModified = new Date(2_000).toUTCString();
      const validators = { etag: '"origin"', lastModified: originLastModified };
      expect(await lab.target.look("t.jpg", NEVER)).toMatchObject({ validators });
      await lab.delete("t.jpg");
      for (const replace of ["none", "migrated", "newer", "always"] as const)
        expect(await put("t.jpg", image("u"), replace)).toBe("deleted");
      expect(await lab.target.look("t.jpg", NEVER)).toEqual({ state: "deleted" });
      expect(await lab.bytesOf("t.jpg")).toBeUndefined();
    });
  });
}
