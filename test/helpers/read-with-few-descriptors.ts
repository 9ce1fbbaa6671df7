// Run by a test under a low limit of descriptors. Stores more objects than it may open files, each in its own file.
// Reads all of them twice, and prints how many were read whole.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { SILENT_LOG } from "../../src/core/log.ts";
import { createFsStore } from "../../src/serve/bucket/fs/fs-store.ts";
import { infoOf, readAll, wholeBodyInFile } from "./whole-body.ts";

/** Concurrent puts; far fewer than the limit of descriptors. */
const AT_ONCE = 25;

const [dir = "", objects = ""] = process.argv.slice(2);
const store = await createFsStore({ dir, now: Date.now, log: SILENT_LOG, minFreeBytes: 0 });
const bucket = store.bucket("1/b");
// A body in a file keeps its own file; small bodies in memory would share a pack.
const bodies = Array.from({ length: Number(objects) }, (_, index) => {
  const bytes = Buffer.from(`body ${index}`);
  const path = join(dir, `spooled-${index}`);
  writeFileSync(path, bytes);
  return { bytes, body: wholeBodyInFile(bytes, path) };
});
const infoAt = (index: number) => infoOf(`${index}`, (bodies[index] as (typeof bodies)[number]).body);
for (let from = 0; from < bodies.length; from += AT_ONCE) {
  const some = bodies.slice(from, from + AT_ONCE);
  await Promise.all(some.map(({ body }, at) => bucket.put(infoAt(from + at), body, { when: "always" })));
}
let whole = 0;
for (let time = 0; time < 2; time += 1) {
  for (const [index, { bytes }] of bodies.entries()) {
    const found = await readAll(await bucket.open(infoAt(index)), bytes.length);
    if (found.equals(bytes)) whole += 1;
  }
}
await store.close();
console.log(whole);
