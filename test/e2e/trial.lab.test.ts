// `huiyuan try` as its own process: its report on the given site, and that it leaves no files behind.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { get } from "../helpers/get.ts";
import { noisyJpeg } from "../helpers/images.ts";
import { within } from "../helpers/program.ts";
import { createLatch } from "../helpers/spools.ts";

const MAIN = fileURLToPath(new URL("../../dist/main.js", import.meta.url));

let folder: string;
let site: Server | undefined;
let trial: ChildProcess | undefined;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "huiyuan-trial-"));
});

afterEach(async () => {
  trial?.kill("SIGKILL");
  site?.close();
  site?.closeAllConnections();
  site = undefined;
  await rm(folder, { recursive: true, force: true });
});

/**
 * A site with an image at /a.jpg, a slow one at /drip.jpg, and this home page, which responds once `opened` resolves.
 * Returns its port.
 */
async function startSite(page: string, opened = Promise.resolve()): Promise<number> {
  const image = await noisyJpeg(64, 64);
  site = createServer(async (request, response) => {
    await opened;
    if (request.url === "/") response.end(page);
    else if (request.url === "/a.jpg") response.end(image);
    else if (request.url === "/drip.jpg") {
      response.writeHead(200, { "Content-Length": image.length });
      for (const byte of image) {
        response.write(Buffer.from([byte]));
        await delay(100, undefined, { ref: false });
      }
    } else response.writeHead(404).end();
  }).listen(0, "127.0.0.1");
  await once(site, "listening");
  return (site.address() as AddressInfo).port;
}

/** Starts `huiyuan try`; its temporary folder is inside `folder`. */
function startTrial(...args: string[]): ChildProcess {
  trial = spawn(process.execPath, [MAIN, "try", "--admin-port", "0", ...args], {
    env: { ...process.env, TMPDIR: folder },
    stdio: ["ignore", "pipe", "pipe"],
  });
  return trial;
}

/** The first line of stdout that begins with `start`. */
async function lineOf(child: ChildProcess, start: string, milliseconds = 30_000): Promise<string> {
  let said = "";
  const heard = new Promise<string>((resolve, reject) => {
    child.stdout?.on("data", (chunk: Buffer) => {
      said += chunk.toString();
      const line = said.split("\n").find((text, index, lines) => text.startsWith(start) && index < lines.length - 1);
      if (line !== undefined) resolve(line);
    });
    child.once("exit", (code) => reject(new Error(`the trial ended with ${code}: ${said}`)));
  });
  return within(heard, milliseconds, () => `no line "${start}" in: ${said}`);
}

async function ended(child: ChildProcess): Promise<number | null> {
  if (child.exitCode === null) await within(once(child, "exit"), 20_000, () => "the trial did not end");
  return child.exitCode;
}

test("every picture of the trial's own page is served, also processed ones, and causes one site request", async () => {
  const report = JSON.parse(await lineOf(startTrial("--port", "0", "--json"), "{"));
  const read = async () => (await fetch(report.galleryUrl)).text();
  const sources = [...(await read()).matchAll(/<img [^>]*?src="(\/trial\/picture[^"]*)"/g)].map(([, source = ""]) =>
    source.replaceAll("&amp;", "&"),
  );
  const originals = sources.filter((source) => source.endsWith("form=original"));
  // The variants of the compared picture, and four more.
  expect([originals.length, new Set(sources).size]).toEqual([15, 15 + 2 + 4]);
  const seen = await Promise.all(
    sources.map(async (source) => {
      const answer = await fetch(new URL(source, report.galleryUrl));
      return [
        answer.status,
        answer.headers.get("content-type")?.split("/")[0],
        (await answer.arrayBuffer()).byteLength > 1_000,
      ];
    }),
  );
  expect(seen).toEqual(sources.map(() => [200, "image", true]));
  const html = await read();
  expect(/<output>(\d+)</.exec(html)?.[1]).toBe(String(originals.length));
  for (const form of ["webp", "avif"])
    expect(
      Number(new RegExp(`id="${form}-note" data-part><b class="good">(\\d+) % less`).exec(html)?.[1]),
    ).toBeGreaterThan(30);
});

test("try of a local site serves the first picture from the site and then from the bucket, and leaves no files", async () => {
  const port = await startSite('<img src="/a.jpg">');
  // The port of --port is already the site's own.
  const child = startTrial("--port", `${port}`, "--json", `http://localhost:${port}`);
  const report = JSON.parse(await lineOf(child, "{"));
  expect(report.requests.first).toMatchObject({ status: 200, isWhole: true });
  expect(report.requests.first.cacheStatus).toMatch(/fwd=uri-miss/);
  expect(report.requests.second.cacheStatus).toMatch(/^huiyuan; hit; detail=(memory|bucket)$/);
  expect(report.replacedPorts).toEqual([{ wanted: port, used: Number(new URL(report.mirrorUrl).port) }]);
  child.kill("SIGINT");
  expect(await ended(child)).toBe(0);
  expect(await readdir(folder)).toEqual([]);
});

test("try shows its page if the first picture drips", async () => {
  const port = await startSite('<img src="/drip.jpg"><img src="/a.jpg">');
  const report = JSON.parse(await lineOf(startTrial("--port", "0", "--json", `http://127.0.0.1:${port}`), "{", 40_000));
  expect(report.requests).toBeUndefined();
  expect(report.mirrorUrl).toMatch(/\/drip\.jpg$/);
  expect((await fetch(report.galleryUrl)).status).toBe(200);
});

test("try of a site without pictures prints a token that is valid for every image", async () => {
  const port = await startSite("<p>none");
  const report = JSON.parse(await lineOf(startTrial("--port", "0", "--json", `http://127.0.0.1:${port}`), "{"));
  expect(report.trouble).toBeUndefined();
  const { host, port: mirrorPort, pathname, search } = new URL(report.signedUrl);
  expect(decodeURI(pathname)).toBe("/<path of an image>");
  const ask = (query: string) => get({ port: Number(mirrorPort), path: `/a.jpg${query}`, host });
  expect((await ask(search)).status).toBe(200);
  expect((await ask("")).status).toBe(403);
});

test("try of a site that is down reports it", async () => {
  const port = await startSite("");
  const closed = once(site!, "close");
  site?.close();
  await closed;
  const report = JSON.parse(await lineOf(startTrial("--port", "0", "--json", `http://127.0.0.1:${port}`), "{"));
  expect(report.trouble).toMatch(/Nothing listens there/);
});

test("try of an address that is never dialled reports it, and names no settings file", async () => {
  const child = startTrial("--port", "0", "http://169.254.169.254");
  let said = "";
  child.stderr?.on("data", (chunk: Buffer) => {
    said += chunk.toString();
  });
  expect(await ended(child)).toBe(1);
  expect(said).toMatch(/^huiyuan: Cannot mirror http:\/\/169\.254\.169\.254: .*never dialled/);
  expect(said).not.toMatch(/yaml|huiyuan-try/);
  expect(await readdir(folder)).toEqual([]);
});

test.each([0, 150, 300, 450])("try stops cleanly on Ctrl-C %i ms into its start", async (milliseconds) => {
  const child = startTrial("--port", "0");
  await lineOf(child, "Starting the trial");
  await delay(milliseconds);
  child.kill("SIGINT");
  expect(await ended(child)).toBe(0);
  expect(await readdir(folder)).toEqual([]);
});

test("try stops cleanly when its terminal is closed", async () => {
  const child = startTrial("--port", "0");
  await lineOf(child, "Starting the trial");
  child.kill("SIGHUP");
  expect(await ended(child)).toBe(0);
  expect(await readdir(folder)).toEqual([]);
});

test("try stops cleanly when its output is no longer read", async () => {
  const latch = createLatch();
  const port = await startSite('<img src="/a.jpg">', latch.opened);
  const child = startTrial("--port", "0", `http://127.0.0.1:${port}`);
  await lineOf(child, "Looking at");
  child.stdout?.destroy();
  // Not earlier: output fails only after the reader has gone.
  latch.open();
  expect(await ended(child)).toBe(0);
  expect(await readdir(folder)).toEqual([]);
});
