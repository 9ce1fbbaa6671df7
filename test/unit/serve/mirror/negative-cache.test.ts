// The negative cache: what an entry holds for, and that it takes little memory whatever clients request.
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { toKey } from "../../../../src/core/object.ts";
import { createNegativeCache } from "../../../../src/serve/mirror/negative-cache.ts";

const at = (id: string) => ({ id, key: toKey("a.jpg"), epoch: 0 });
const recentOf = () => createNegativeCache({ negativeTtlMs: 60_000 }, () => 1_000);

test.each(["a.jpg", `a.jpg\0${"x".repeat(5_000)}`])("absent() is remembered for its own id alone (%#)", (id) => {
  const recent = recentOf();
  recent.absent(at(id));
  expect(recent.known(at(id))?.message).toMatch("the origin has no such image");
  for (const other of [`${id}y`, id.slice(0, -1), "b.jpg"]) expect(recent.known(at(other))).toBeUndefined();
});

test("absent() does not keep ids of kilobytes as they are", () => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const recent = recentOf();
  collect();
  const before = process.memoryUsage().heapUsed;
  for (let index = 0; index < 5_000; index += 1) recent.absent(at(`${index}?${Buffer.alloc(8_000, "q").toString()}`));
  collect();
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(5_000_000);
  expect(recent.known(at(`4999?${"q".repeat(8_000)}`))?.code).toBe("not_found");
});
