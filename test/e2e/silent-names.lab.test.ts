// Host names whose DNS server never answers. Neither other origins nor a stop wait for them.
import { randomInt } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import { get } from "../helpers/get.ts";
import { noisyJpeg } from "../helpers/images.ts";
import { type NameServer, startNameServer } from "../helpers/name-server.ts";
import { eventually, install, type Program } from "../helpers/program.ts";
import { response, type ScriptedOrigin, startScriptedOrigin } from "../helpers/scripted-origin.ts";
import { needs } from "../helpers/services.ts";
import { APPID, KEYS, mirrorOf } from "../helpers/settings.ts";

const REDIRECTS = 30;
const SILENT = [
  "one.silent.test",
  "two.silent.test",
  ...Array.from({ length: REDIRECTS }, (_, at) => `n${at}.silent.test`),
];

let jpeg: Buffer;
const clean: (() => unknown)[] = [];
beforeAll(async () => {
  jpeg = await noisyJpeg(64, 48);
});
afterEach(async () => {
  for (const step of clean.splice(0).reverse()) await step();
});

interface Lab {
  readonly program: Program;
  readonly names: NameServer;
  readonly redirecting: ScriptedOrigin;
  /** The status of a request for a new image of that domain. */
  status(host: string): Promise<number>;
}

/**
 * Domains: `named` and `in-hosts` have a good origin, and `one` and `two` have silent names. The origin of
 * `redirecting` redirects each request to another silent name.
 */
async function start(): Promise<Lab> {
  // A resolv.conf means port 53. A random loopback address avoids a clash with other tests on this machine.
  const host = `127.53.${randomInt(256)}.${randomInt(1, 255)}`;
  const silent = Object.fromEntries(SILENT.map((name) => [name, "silent"] as const));
  const names = await startNameServer({ "good.test": ["127.0.0.1"], ...silent }, { host, port: 53 });
  clean.push(() => names.close());
  const good = await startScriptedOrigin({ "*": [response(jpeg, { headers: { Connection: "close" } })] });
  clean.push(() => good.close());
  let redirects = 0;
  const redirecting = await startScriptedOrigin((_, connection) => {
    const headers = { Location: `http://n${redirects}.silent.test/`, Connection: "close" };
    redirects += 1;
    return connection.send(response("", { status: "302 Found", headers }));
  });
  clean.push(() => redirecting.close());
  const urls = {
    named: `http://good.test:${good.port}`,
    "in-hosts": `http://localhost:${good.port}`,
    one: "http://one.silent.test:8000",
    two: "http://two.silent.test:8000",
    redirecting: redirecting.url,
  };
  const domains = Object.entries(urls).map(([host, url]) => ({ host, mirror: mirrorOf(url) }));
  const installation = await install({
    projects: [{ appid: APPID, keys: [KEYS[0]], buckets: [{ name: "photos", domains }] }],
  });
  clean.push(() => installation.remove());
  const program = await installation.start({ wrap: await withNameServer(host) });
  clean.push(() => program.kill());
  let asked = 0;
  const status = async (domain: string) => {
    asked += 1;
    const answer = await get({ port: program.downloadPort, host: domain, path: `/${asked}.jpg` });
    return answer.status;
  };
  return { program, names, redirecting, status };
}

/** Runs a command with an /etc of its own. */
async function withNameServer(address: string): Promise<readonly string[]> {
  const folder = await mkdtemp(join(tmpdir(), "huiyuan-etc-"));
  clean.push(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, "resolv.conf"), `nameserver ${address}\n`);
  await writeFile(join(folder, "hosts"), "127.0.0.1 localhost\n");
  const script = 'for file in resolv.conf hosts; do mount --bind "$0/$file" "/etc/$file" || exit 1; done; exec "$@"';
  return ["unshare", "-m", "sh", "-c", script, folder];
}

describe("names whose server is silent", needs("an /etc of its own"), () => {
  test("do not block other origins", async () => {
    const { names, status } = await start();
    const silent = [status("one"), status("two")];
    await eventually(() => SILENT.slice(0, 2).every((name) => names.asked(name) > 0), "both names are looked up");
    expect([await status("named"), await status("in-hosts"), await status("named")]).toEqual([200, 200, 200]);
    expect(await Promise.all(silent)).toEqual([424, 424]);
  });

  test("do not block other origins when one origin redirects to many of them", async () => {
    const { redirecting, status } = await start();
    const silent = Array.from({ length: REDIRECTS }, () => status("redirecting"));
    await eventually(() => redirecting.requests.length === REDIRECTS, "all requests are redirected");
    expect([await status("named"), await status("in-hosts"), await status("named")]).toEqual([200, 200, 200]);
    expect(new Set(await Promise.all(silent))).toEqual(new Set([424]));
  });

  test("do not delay a stop", async () => {
    const { program, names, status } = await start();
    const silent = [status("one"), status("two")];
    await eventually(() => SILENT.slice(0, 2).every((name) => names.asked(name) > 0), "both names are looked up");
    expect(await Promise.all(silent)).toEqual([424, 424]);
    const began = performance.now();
    expect(await program.stop()).toBe(0);
    expect(performance.now() - began).toBeLessThan(5_000);
  });
});
