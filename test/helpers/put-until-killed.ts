// A child process for crash tests: stores objects in the store of argv[2] until it is killed. It prints each number as
// soon as the put is acknowledged. Odd numbers use spool files, and every fifth object is deleted afterwards ("-n").
import { createHash } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { SILENT_LOG } from "../../src/core/log.ts";
import { toKey } from "../../src/core/object.ts";
import { createFsStore } from "../../src/serve/bucket/fs/fs-store.ts";
import { infoOf, wholeBody, wholeBodyInFile } from "./whole-body.ts";

/** The bytes of object number `n`, the same in every process: between 1 and about 190,000 bytes. */
export function bytesOfNumber(n: number): Buffer {
  const seed = createHash("sha256").update(`${n}`).digest();
  return Buffer.alloc(1 + (seed.readUInt32BE(0) % 190_000), seed);
}

async function putForEver(dir: string): Promise<void> {
  const store = await createFsStore({ dir, now: Date.now, log: SILENT_LOG, minFreeBytes: 0 });
  const bucket = store.bucket("1/b");
  let last = 0;
  const putMany = async () => {
    for (;;) {
      last += 1;
      const n = last;
      const bytes = bytesOfNumber(n);
      const path = join(store.spoolDir, `${n}`);
      if (n % 2 === 1) await writeFile(path, bytes);
      const body = n % 2 === 1 ? wholeBodyInFile(bytes, path) : wholeBody(bytes);
      await bucket.put(infoOf(`${n}`, body), body, { when: "absent" });
      process.stdout.write(`${n}\n`);
      if (n % 5 !== 0) continue;
      await bucket.delete(toKey(`${n}`), { deletedAt: 1, reason: "test" });
      process.stdout.write(`-${n}\n`);
    }
  };
  await Promise.all(Array.from({ length: 8 }, putMany));
}

const [, script, dir] = process.argv;
if (script?.endsWith("put-until-killed.ts") === true && dir !== undefined) await putForEver(dir);
