import { setImmediate as nextTurn } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { LiveMap, LiveSet } from "../../../src/async/live-map.ts";

test("a LiveMap holds each value until it is deleted, in insertion order", () => {
  const map = new LiveMap<string, { readonly n: number }>();
  map.set("a", { n: 1 });
  map.set("b", { n: 2 });
  map.set("a", { n: 3 });
  expect([map.get("a"), map.get("b"), map.get("c"), map.size]).toEqual([{ n: 3 }, { n: 2 }, undefined, 2]);
  expect([...map.values()]).toEqual([{ n: 3 }, { n: 2 }]);
  map.delete("a");
  map.delete("nobody");
  expect([map.get("a"), map.size, [...map.values()]]).toEqual([undefined, 1, [{ n: 2 }]]);
});

test("a LiveSet removes any value once, and keeps the order of the others", () => {
  const set = new LiveSet<{ readonly name: string }>();
  const [a, b, c] = ["a", "b", "c"].map((name) => ({ name })) as [{ name: string }, { name: string }, { name: string }];
  const remove = [a, b, c].map((value) => set.add(value));
  expect([set.first, set.size, [...set]]).toEqual([a, 3, [a, b, c]]);
  expect([remove[1]?.(), remove[1]?.()]).toEqual([true, false]);
  expect([set.first, set.size, [...set]]).toEqual([a, 2, [a, c]]);
  remove[0]?.();
  expect([set.first, [...set]]).toEqual([c, [c]]);
  remove[2]?.();
  expect([set.first, set.size, [...set]]).toEqual([undefined, 0, []]);
  set.add(b);
  expect([set.first, [...set]]).toEqual([b, [b]]);
});

test("iterating a LiveSet skips values removed meanwhile and does not see added ones", () => {
  const set = new LiveSet<{ readonly name: string }>();
  const remove = ["a", "b", "c"].map((name) => set.add({ name }));
  const seen: string[] = [];
  for (const { name } of set) {
    seen.push(name);
    if (name === "a") remove[1]?.();
    set.add({ name: "late" });
  }
  expect(seen).toEqual(["a", "c"]);
});

const collectYoung = (() => {
  setFlagsFromString("--expose-gc");
  const gc = runInNewContext("gc") as (options: { readonly type: "minor" }) => void;
  return () => gc({ type: "minor" });
})();

/** Returns the bytes that a young collection leaves after 2,000 entries of 8 KB came and went, 16 at a time. */
async function leftOf(comeAndGo: (value: object) => () => void): Promise<number> {
  const there: (() => void)[] = [];
  const pass = () => {
    there.push(comeAndGo({ held: new Array(1_000).fill(1) }));
    if (there.length > 16) there.shift()?.();
  };
  const heapUsed = async () => {
    await nextTurn();
    collectYoung();
    return process.memoryUsage().heapUsed;
  };
  for (let count = 0; count < 16; count += 1) pass();
  // Makes the current tables old.
  for (let round = 0; round < 3; round += 1) await heapUsed();
  const before = await heapUsed();
  for (let count = 0; count < 2_000; count += 1) {
    pass();
    // Runs before a young collection happens by itself; a full one follows.
    if (count % 200 === 0) await heapUsed();
  }
  return (await heapUsed()) - before;
}

test("removed entries are freed by the next young collection", async () => {
  const map = new LiveMap<string, object>();
  const set = new LiveSet();
  let count = 0;
  const throughMap = (value: object) => {
    const key = `key ${count}`;
    count += 1;
    map.set(key, value);
    return () => map.delete(key);
  };
  // A plain Map or Set retains all 16 MB.
  expect(await leftOf(throughMap)).toBeLessThan(2_000_000);
  expect(await leftOf((value) => set.add(value))).toBeLessThan(2_000_000);
});
