// Tests the resolver with a real name server. test/e2e/silent-names.lab.test.ts tests it in the program.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { classifyAddress } from "../../../../../src/core/addresses.ts";
import { asHuiyuanError } from "../../../../../src/core/errors.ts";
import { createSystemResolve, type Resolve } from "../../../../../src/serve/origin/dial/lookup.ts";
import { type NameServer, type NameTable, startNameServer } from "../../../../helpers/name-server.ts";
import { response, startScriptedOrigin } from "../../../../helpers/scripted-origin.ts";
import { fetchWhole, siteAt } from "../../../../helpers/site-under-test.ts";

const clean: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const step of clean.splice(0).reverse()) await step();
});

interface Lab {
  readonly resolve: Resolve;
  readonly names: NameServer;
}

async function lab(
  table: NameTable,
  { hosts = "", resolvConf = "" }: { hosts?: string; resolvConf?: string } = {},
): Promise<Lab> {
  const names = await startNameServer(table);
  clean.push(() => names.close());
  const folder = await mkdtemp(join(tmpdir(), "huiyuan-names-"));
  clean.push(() => rm(folder, { recursive: true }));
  const files = { hosts: join(folder, "hosts"), resolvConf: join(folder, "resolv.conf") };
  await writeFile(files.hosts, hosts);
  await writeFile(files.resolvConf, resolvConf);
  return { resolve: createSystemResolve({ ...files, servers: [names.address] }), names };
}

const codeOf = (asked: Promise<unknown>) =>
  asked.then(
    () => "found",
    (error: unknown) => asHuiyuanError(error).code,
  );

test("the addresses of a name have both families interleaved", async () => {
  const { resolve } = await lab({ "good.test": ["192.0.2.1", "192.0.2.2", "2001:db8::1"] });
  expect(await resolve("good.test")).toEqual(["192.0.2.1", "2001:db8::1", "192.0.2.2"]);
});

test.each(["silent", "failing", "unknown"] as const)(
  "a family that is %s delays the other only briefly",
  async (aaaa) => {
    const table = { "good.test": { a: ["192.0.2.1"], aaaa }, "silent.test": "silent" } as const;
    const { resolve } = await lab(table);
    // DNS gives a name that is silent in both families its whole time.
    const first = Promise.race(["silent.test", "good.test"].map(resolve));
    expect(await first).toEqual(["192.0.2.1"]);
  },
);

test.each([
  ["silent", "origin_dns_timeout"],
  ["failing", "origin_dns_failed"],
  ["unknown", "origin_name_unknown"],
] as const)("a name that is %s in DNS is %s", async (answer, code) => {
  const { resolve } = await lab({ "gone.test": answer });
  expect(await codeOf(resolve("gone.test"))).toBe(code);
});

test("a lost query is sent again", async () => {
  const { resolve } = await lab({ "slow.test": { inTurn: ["silent", ["192.0.2.1"]] } });
  expect(await resolve("slow.test")).toEqual(["192.0.2.1"]);
});

test("a name in the hosts file gets its addresses from there", async () => {
  const { resolve, names } = await lab({ "good.test": ["192.0.2.1"] }, { hosts: "10.0.0.1 good.test" });
  expect([await resolve("good.test"), names.asked("good.test")]).toEqual([["10.0.0.1"], 0]);
});

test("search domains are queried in the system's order, and a failure there ends the search", async () => {
  const table = {
    "db.in.test": "unknown",
    "db.out.test": ["10.0.0.1"],
    db: ["192.0.2.1"],
    "kv.in.test": "failing",
    kv: ["192.0.2.1"],
  } as const;
  const { resolve, names } = await lab(table, { resolvConf: "search in.test out.test" });
  expect(await resolve("db")).toEqual(["10.0.0.1"]);
  expect(await codeOf(resolve("kv"))).toBe("origin_dns_failed");
  expect([names.asked("kv.in.test") > 0, names.asked("kv")]).toEqual([true, 0]);
});

test.each(["alias", "failing", "silent"] as const)(
  "a name with one family, and %s in the other, exists, however late its addresses arrive",
  async (aaaa) => {
    const table = { "db.in.test": { a: ["10.0.0.1"], aMs: 300, aaaa }, db: ["192.0.2.1"] } as const;
    const { resolve } = await lab(table, { resolvConf: "search in.test" });
    expect(await resolve("db")).toEqual(["10.0.0.1"]);
  },
);

test("an alias without an address does not exist", async () => {
  const { resolve } = await lab({ "db.in.test": "alias", db: ["192.0.2.1"] }, { resolvConf: "search in.test" });
  expect(await resolve("db")).toEqual(["192.0.2.1"]);
});

test("nothing is cached: every lookup queries again", async () => {
  const { resolve } = await lab({ "flip.test": { inTurn: [["192.0.2.1"], ["127.0.0.1"], ["192.0.2.2"]] } });
  const found = [await resolve("flip.test"), await resolve("flip.test"), await resolve("flip.test")];
  expect(found).toEqual([["192.0.2.1"], ["127.0.0.1"], ["192.0.2.2"]]);
});

test("each dial checks the addresses that were found directly", async () => {
  const server = await startScriptedOrigin({ "*": [response("x"), "FIN"] }, { host: "127.0.0.2" });
  clean.push(() => server.close());
  const { resolve } = await lab({ "flip.test": { inTurn: [["127.0.0.2"], ["127.0.0.1"], ["127.0.0.2", "::1"]] } });
  const classify = (address: string) => (address === "127.0.0.2" ? "public" : classifyAddress(address));
  const site = siteAt(`http://flip.test:${server.port}`, { resolve, classify, allowPrivate: false });
  clean.push(() => site.close());
  const codes: string[] = [];
  for (const key of ["a", "b", "c"]) {
    codes.push(await codeOf(fetchWhole(site, key)));
    await server.closedDownTo(0);
  }
  expect([codes, server.requests.length]).toEqual([["found", "origin_blocked", "origin_blocked"], 1]);
});

test("of one dialer's names up to 64 are looked up at once", async () => {
  const many = Array.from({ length: 64 }, (_, at) => `n${at}.test`);
  const table = Object.fromEntries(many.map((name, at) => [name, at < 63 ? "silent" : ["192.0.2.1"]] as const));
  const { resolve } = await lab(table);
  const asked = many.map((name) => resolve(name));
  const codes = asked.map(codeOf);
  expect(await codeOf(resolve("one-more.test"))).toBe("origin_dns_failed");
  expect(await asked.at(-1)).toEqual(["192.0.2.1"]);
  expect(await Promise.all(codes.slice(0, 63))).toEqual(Array(63).fill("origin_dns_timeout"));
});
