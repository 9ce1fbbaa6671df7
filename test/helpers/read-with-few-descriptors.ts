// Run by a test under a low limit of descriptors: stores more objects than it may open files, reads each of them twice,
// and prints how many were read whole.
import { createFsStore } from "../../src/bucket/fs/store.ts";
import { SILENT_LOG } from "../../src/log.ts";
import { infoOf, readAll, wholeBody } from "./whole-body.ts";

const [dir = "", objects = ""] = process.argv.slice(2);
const store = await createFsStore({ dir, now: Date.now, log: SILENT_LOG, minFreeBytes: 0 });
const bucket = store.bucket("1/b");
const bodies = Array.from({ length: Number(objects) }, (_, index) => wholeBody(Buffer.from(`body ${index}`)));
for (const [index, body] of bodies.entries()) await bucket.put(infoOf(`${index}`, body), body, { when: "always" });
let whole = 0;
for (const [index, body] of [...bodies, ...bodies].entries()) {
  const bytes = await readAll(await bucket.open(infoOf(`${index % bodies.length}`, body)), body.size);
  if (body.content.kind === "buffer" && bytes.equals(body.content.buffer)) whole += 1;
}
await store.close();
console.log(whole);
