// Runs the whole program before an origin of pictures that counts its requests, for tests of disk faults. Returns each
// client's response, its source, and the origin's request count.
import { createHash } from "node:crypto";
import { expect } from "vitest";
import { get } from "../../helpers/get.ts";
import { noisyBmp } from "../../helpers/images.ts";
import { type Installation, install, type Program } from "../../helpers/program.ts";
import {
  chunk,
  head,
  response,
  type ScriptedConnection,
  type ScriptedOrigin,
  startScriptedOrigin,
} from "../../helpers/scripted-origin.ts";
import { mirrorOf, oneBucket } from "../../helpers/settings.ts";
import { createLatch } from "../../helpers/spools.ts";

/** Large pictures have blobs of ten blocks, the last of them short. */
const LARGE_WIDTH = 400;
const LARGE_HEIGHT = 500;

export interface Mirrored {
  readonly installation: Installation;
  readonly origin: ScriptedOrigin;
  /** Lets the origin send the last bytes of the `/wide-held…` pictures. */
  sendHeld(): void;
  close(): Promise<void>;
}

/** Prepares the installation and starts nothing. The memory tier is empty, so that every hit reads the disk. */
export async function prepareMirrored(limits: object = {}): Promise<Mirrored> {
  const held = createLatch();
  const origin = await startScriptedOrigin((request, connection) => sendBody(request.target, connection, held.opened));
  const more = { limits: { hotObjectSize: "1KB", ...limits } };
  const installation = await install(oneBucket(mirrorOf(origin.url), {}, more));
  return {
    installation,
    origin,
    sendHeld: held.open,
    async close() {
      held.open();
      await origin.close();
      await installation.remove();
    },
  };
}

const wide = noisyBmp(1_000, 2_667);

/** Digests that match no picture. */
const WRONG_DIGESTS = {
  "wrong-md5": ["Content-MD5", createHash("md5").digest("base64")],
  "wrong-sha256": ["Repr-Digest", `sha-256=:${createHash("sha256").digest("base64")}:`],
} as const;

async function sendBody(target: string, connection: ScriptedConnection, held: Promise<void>): Promise<void> {
  const body = bodyOf(target);
  const digests = Object.entries(WRONG_DIGESTS).flatMap(([name, header]) => (target.includes(name) ? [header] : []));
  if (target.includes("chunked")) {
    await connection.send(head("200 OK", [["Transfer-Encoding", "chunked"], ...digests]));
    for (let at = 0; at < body.length; at += 50_000) await connection.send(chunk(body.subarray(at, at + 50_000)));
    return connection.send(chunk(""));
  }
  const all = response(body, { headers: { "Content-Type": "image/bmp", ...Object.fromEntries(digests) } });
  if (target.includes("late")) {
    await connection.send(all.subarray(0, -100_000));
    await connection.pause(300);
    return connection.send(all.subarray(-100_000));
  }
  if (!target.startsWith("/wide")) return connection.send(all);
  await connection.send(all.subarray(0, -1));
  await (target.startsWith("/wide-held") ? held : connection.pause(3_000));
  await connection.send(all.subarray(-1));
}

/**
 * Returns the picture of a path. `/small…` stays in memory while it arrives; `/large…` uses a spool file. A number at
 * the end makes the picture unique. `/wide…` has 8 MB, whose last byte arrives 3 s late; that of `/wide-held…` waits
 * for `sendHeld()`. A name with `chunked` has no length; with `late` the last part follows after 0.3 s. With
 * `wrong-md5` or `wrong-sha256` the response declares another picture's digest.
 */
export function bodyOf(path: string): Buffer {
  const number = Number(/\d*$/.exec(path)?.[0] ?? 0);
  if (path.startsWith("/wide")) return wide;
  return path.startsWith("/small") ? noisyBmp(60, 60 + number) : noisyBmp(LARGE_WIDTH, LARGE_HEIGHT + number);
}

/** Downloads the picture, checks that it is whole and right, and returns its Cache-Status. */
export async function downloadRight(program: Program, path: string): Promise<string> {
  const answer = await get({ port: program.downloadPort, path });
  const isRight = answer.isWhole && answer.body.equals(bodyOf(path));
  expect({ path, status: answer.status, isRight }).toEqual({ path, status: 200, isRight: true });
  return String(answer.headers["cache-status"]);
}

/** Status and text of /readyz. */
export async function readiness(program: Program): Promise<{ readonly status: number; readonly text: string }> {
  const answer = await get({ port: program.adminPort, path: "/readyz", host: "127.0.0.1" });
  return { status: answer.status, text: answer.body.toString() };
}

/** The program's own count of images that were not stored for this reason. */
export async function notStored(program: Program, reason: string): Promise<number> {
  const answer = await get({ port: program.adminPort, path: "/metrics", host: "127.0.0.1" });
  const found = new RegExp(`not_stored_total\\{reason="${reason}"\\} (\\d+)`).exec(answer.body.toString());
  return Number(found?.[1] ?? 0);
}

export const FROM_BUCKET = "huiyuan; hit; detail=bucket";
