// Runs every fault of the table against the whole program, and compares faults.md with the observed results.
// UPDATE_DOCS=1 writes docs/internals/faults.md.
import { readFile, writeFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { sendRaw } from "../helpers/raw.ts";
import type { Seen } from "./fault.ts";
import { GROUPS, LAB_OPTIONS } from "./faults.ts";
import { type Lab, startLab, tell } from "./lab.ts";
import { report } from "./report.ts";
import { SIGNED_PATH } from "./rows/signatures.ts";

const DOCS = new URL("../../docs/internals/faults.md", import.meta.url);
const seen = new Map<string, Seen>();
let lab: Lab;

beforeAll(async () => {
  lab = await startLab(LAB_OPTIONS);
});
afterAll(() => lab?.close());

test("every fault has a unique id", () => {
  const ids = GROUPS.flatMap(({ faults }) => faults.map(({ id }) => id));
  expect(ids.filter((id, index) => ids.indexOf(id) !== index)).toEqual([]);
});

describe.each(GROUPS)("$title", ({ faults }) => {
  test.concurrent.each(faults)("$id: $what", async ({ id, observe, expected }) => {
    const found = await observe(lab);
    seen.set(id, found);
    expect(found).toEqual(expected);
  });
});

test("no request reached the listener inside, which was open all the time", async () => {
  expect(lab.inside.connections).toBe(0);
  expect((await sendRaw(lab.inside.port, "GET / HTTP/1.1\r\n\r\n", 200)).status).toBe(200);
  expect(lab.inside.connections).toBe(1);
});

test("the signed file was fetched once, and no refused request reached the origin", () => {
  expect(lab.asked(SIGNED_PATH)).toBe(1);
});

test("all stored objects are served after kill -9 without any origin, and spent tokens stay spent", async () => {
  await lab.restartAlone();
  const lost: string[] = [];
  for (const [path, bytes] of lab.kept) {
    const answer = await lab.get({ path });
    if (tell(answer, bytes) !== "200 whole") lost.push(`${path}: ${tell(answer, bytes)}`);
  }
  expect(lost).toEqual([]);
  expect(lab.kept.size).toBeGreaterThan(100);
  for (const request of lab.spent) expect((await lab.get(request)).headers["x-errno"]).toBe("-77");
  expect(lab.spent).toHaveLength(1);
});

test("docs/internals/faults.md matches the observed results", async () => {
  const text = report(GROUPS, seen);
  if (process.env.UPDATE_DOCS === "1") await writeFile(DOCS, text);
  expect(await readFile(DOCS, "utf8")).toBe(text);
});
