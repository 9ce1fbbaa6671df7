// The address of a running server is found without the schema, and only if the schema would find the same.
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readAddress } from "../../../src/settings/address.ts";
import { loadSettings } from "../../../src/settings/load.ts";

const TOKEN = "0123456789abcdef";
const env = { ADMIN: TOKEN };
let folder: string;
let file: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "huiyuan-address-"));
  file = join(folder, "huiyuan.yaml");
  await mkdir(join(folder, "data"));
  for (const place of ["token", "data/token"]) await writeFile(join(folder, place), `${TOKEN}\n`);
});

afterAll(() => rm(folder, { recursive: true }));

const BUCKETS =
  'projects: [{ appid: "10001234", keys: [{ secretId: AKIDabcd1234, secretKey: 0123456789abcdef01234567 }], buckets: [{ name: photos, token: off }] }]\n';

test.each([
  ["", { adminHost: "127.0.0.1", adminPort: 8081 }],
  ["server:\n", { adminHost: "127.0.0.1", adminPort: 8081 }],
  ["server: { adminHost: '::1', adminPort: 0 }", { adminHost: "::1", adminPort: 0 }],
  [`server: { adminToken: ${TOKEN}x }`, { adminHost: "127.0.0.1", adminPort: 8081, adminToken: `${TOKEN}x` }],
  ["server: { adminToken: 'env:ADMIN' }", { adminHost: "127.0.0.1", adminPort: 8081, adminToken: TOKEN }],
  ["server: { adminToken: 'file:token' }", { adminHost: "127.0.0.1", adminPort: 8081, adminToken: TOKEN }],
])("%s is as the schema has it", async (text, address) => {
  await writeFile(file, BUCKETS + text);
  expect(await readAddress(file, env)).toEqual(address);
  if (text === "server:\n") return; // The schema refuses it; a server may run with the settings of before.
  expect((await loadSettings(file, { env, needs: "address" })).server).toMatchObject(address);
});

test.each([
  "server: { adminPort: '8081' }",
  "server: { adminHost: 1 }",
  "server: { adminHost: 'a b' }",
  "server: { adminToken: 'env:NO_SUCH' }",
  "server: { adminToken: 'file:no-such' }",
  "server: { adminToken: 'file:data/token' }",
  "server: { adminToken: [x] }",
  "data: 1",
  "server: { adminPort: 1 }\nserver: { adminPort: 2 }",
  "server: {",
])("%s has none, and the schema says why", async (text) => {
  await writeFile(file, BUCKETS + text);
  expect(await readAddress(file, env)).toBeUndefined();
  await expect(loadSettings(file, { env, needs: "address" })).rejects.toMatchObject({ name: "SettingsFaults" });
});

test("a fault of another part is none of the address, and a missing file has none", async () => {
  await writeFile(file, "projects: 1\nserver: { adminPort: 9 }");
  expect(await readAddress(file, env)).toEqual({ adminHost: "127.0.0.1", adminPort: 9 });
  expect(await readAddress(join(folder, "no-such.yaml"), env)).toBeUndefined();
});
