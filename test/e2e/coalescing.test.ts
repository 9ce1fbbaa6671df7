// One fill serves all clients of a cold key, and continues after they disconnect.
import { afterAll, beforeAll, expect, test } from "vitest";
import { get } from "../helpers/get.ts";
import { noisyJpeg } from "../helpers/images.ts";
import { eventually, type Installation, install, type Program } from "../helpers/program.ts";
import { head, type ScriptedOrigin, startScriptedOrigin } from "../helpers/scripted-origin.ts";
import { mirrorOf, oneBucket } from "../helpers/settings.ts";

let jpeg: Buffer;
let origin: ScriptedOrigin;
let installation: Installation;
let program: Program;
const requestsFor = (target: string) => origin.requests.filter((request) => request.target === target).length;

beforeAll(async () => {
  jpeg = await noisyJpeg(1200, 900);
  origin = await startScriptedOrigin(async (request, connection) => {
    if (request.method === "HEAD" && request.target.startsWith("/heads")) {
      await connection.pause(300);
      await connection.send(head("200 OK", [["Content-Length", String(jpeg.length)]]));
      return;
    }
    if (request.method === "HEAD") {
      await connection.send(head("405 Method Not Allowed", [["Content-Length", "0"]]));
      return;
    }
    await connection.pause(200);
    await connection.send(head("200 OK", [["Content-Length", String(jpeg.length)]]));
    for (let offset = 0; offset < jpeg.length; offset += 65_536) {
      await connection.send(jpeg.subarray(offset, offset + 65_536));
      await connection.pause(10);
    }
  });
  installation = await install(oneBucket(mirrorOf(origin.url)));
  program = await installation.start();
});
afterAll(async () => {
  await program?.stop();
  await origin?.close();
  await installation?.remove();
});

test("50 clients on a cold key cause 1 origin request and get 50 whole responses", async () => {
  const answers = await Promise.all(
    Array.from({ length: 50 }, () => get({ port: program.downloadPort, path: "/fifty.jpg" })),
  );
  for (const answer of answers) {
    expect([answer.status, answer.isWhole, answer.body.equals(jpeg)]).toEqual([200, true, true]);
  }
  expect(requestsFor("/fifty.jpg")).toBe(1);
  const said = answers.map((answer) => answer.headers["cache-status"]);
  expect(said.filter((status) => status === "huiyuan; fwd=uri-miss")).toHaveLength(1);
  expect(said.filter((status) => status === "huiyuan; fwd=uri-miss; collapsed")).toHaveLength(49);
});

test("a client that disconnects at 10 % does not stop the image from being stored", async () => {
  const left = await get({ port: program.downloadPort, path: "/left.jpg", leaveAfter: jpeg.length / 10 });
  expect(left.isWhole).toBe(false);
  await eventually(async () => {
    const answer = await get({ port: program.downloadPort, path: "/left.jpg" });
    expect(answer.body.equals(jpeg)).toBe(true);
    return /detail=(bucket|memory)/.test(String(answer.headers["cache-status"]));
  }, "the image is stored although the client has disconnected");
  expect(requestsFor("/left.jpg")).toBe(1);
});

test("a Range on a cold key causes one origin request without Range and gets exactly its bytes", async () => {
  const [first, suffix, far] = await Promise.all([
    get({ port: program.downloadPort, path: "/ranged.jpg", headers: { Range: "bytes=0-99" } }),
    get({ port: program.downloadPort, path: "/ranged.jpg", headers: { Range: "bytes=-50" } }),
    get({ port: program.downloadPort, path: "/ranged.jpg", headers: { Range: `bytes=${jpeg.length}-` } }),
  ]);
  expect([first.status, first.body.equals(jpeg.subarray(0, 100))]).toEqual([206, true]);
  expect([suffix.status, suffix.body.equals(jpeg.subarray(-50))]).toEqual([206, true]);
  expect([far.status, far.headers["content-range"], far.headers["x-errno"]]).toEqual([
    416,
    `bytes */${jpeg.length}`,
    "-124",
  ]);
  expect(requestsFor("/ranged.jpg")).toBe(1);
  expect(origin.requests.every((request) => request.headers.range === undefined)).toBe(true);
});

test("50 HEADs of a cold key cause 1 origin request and store nothing", async () => {
  const answers = await Promise.all(
    Array.from({ length: 50 }, () => get({ port: program.downloadPort, path: "/heads.jpg", method: "HEAD" })),
  );
  const said = answers.map(({ status, headers }) =>
    [status, headers["content-length"], headers["cache-status"]].join(" "),
  );
  const first = `200 ${jpeg.length} huiyuan; fwd=uri-miss`;
  expect([...new Set(said)].sort()).toEqual([first, `${first}; collapsed`]);
  expect(origin.requests.filter(({ target }) => target === "/heads.jpg").map(({ method }) => method)).toEqual(["HEAD"]);
});

test("an origin that refuses HEAD gets a GET, and the image is stored", async () => {
  const answer = await get({ port: program.downloadPort, path: "/head.jpg", method: "HEAD" });
  expect([answer.status, answer.headers["content-length"], answer.body.length]).toEqual([200, String(jpeg.length), 0]);
  expect(origin.requests.filter((request) => request.target === "/head.jpg").map((request) => request.method)).toEqual([
    "HEAD",
    "GET",
  ]);
});
