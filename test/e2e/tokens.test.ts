// Token 防盗链 (hotlink protection) and Referer lists on the wire: access, codes, and Cache-Control and Vary for caches.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { makeToken } from "../../src/serve/sign/token.ts";
import { get } from "../helpers/get.ts";
import { noisyJpeg } from "../helpers/images.ts";
import { type Installation, install, type Program } from "../helpers/program.ts";
import { response, type ScriptedOrigin, startScriptedOrigin } from "../helpers/scripted-origin.ts";
import { APPID, KEYS, mirrorOf } from "../helpers/settings.ts";

const bucket = (name: string, more: object) => ({ name, token: "required", ...more });
const HOSTS = { reuse: "reuse.example", once: "once.example", refuse: "refuse.example", listed: "listed.example" };

let jpeg: Buffer;
let origin: ScriptedOrigin;
let installation: Installation;
let program: Program;

function settings(keys: readonly object[]): object {
  const domains = (host: string) => [{ host, mirror: mirrorOf(origin.url) }];
  return {
    projects: [
      {
        appid: APPID,
        keys,
        buckets: [
          bucket("reuse", { domains: domains(HOSTS.reuse) }),
          bucket("once", { oneTimeDownloads: "once", domains: domains(HOSTS.once) }),
          bucket("refuse", { oneTimeDownloads: "refuse", domains: domains(HOSTS.refuse) }),
          bucket("listed", {
            referers: { mode: "allow", domains: ["*.friend.example"] },
            domains: domains(HOSTS.listed),
          }),
        ],
      },
    ],
  };
}

interface Wish {
  readonly bucket: string;
  readonly fileid: string;
  readonly lifeSeconds?: number;
  readonly key?: { readonly secretId: string; readonly secretKey: string };
}

let random = 0;
function token({ bucket: name, fileid, lifeSeconds, key = KEYS[0] }: Wish): string {
  const issuedAt = Math.floor(Date.now() / 1_000) - 10;
  const expires = lifeSeconds === undefined ? 0 : issuedAt + 10 + lifeSeconds;
  random += 1;
  return makeToken(
    { appid: APPID, bucket: name, secretId: key.secretId, expires, issuedAt, random, userid: "0", fileid },
    key.secretKey,
  );
}

const ask = (host: string, path: string, sign?: string, headers: Record<string, string> = {}) =>
  get({
    port: program.downloadPort,
    host,
    path: sign === undefined ? path : `${path}?sign=${encodeURIComponent(sign)}`,
    headers,
  });

beforeAll(async () => {
  jpeg = await noisyJpeg(64, 48);
  origin = await startScriptedOrigin({ "*": [response(jpeg)] });
  installation = await install(settings([KEYS[0]]));
  program = await installation.start();
});
afterAll(async () => {
  await program?.stop();
  await origin?.close();
  await installation?.remove();
});

describe("tokens", () => {
  test("a bound and an unbound token give access, with private caching no longer than their lifetime", async () => {
    const bound = await ask(
      HOSTS.reuse,
      "/a b.jpg".replace(" ", "%20"),
      token({ bucket: "reuse", fileid: "a b.jpg", lifeSeconds: 30 }),
    );
    expect([bound.status, bound.body.equals(jpeg)]).toEqual([200, true]);
    expect(bound.headers["cache-control"]).toMatch(/^private, max-age=(2\d|30)$/);
    const unbound = await ask(HOSTS.reuse, "/c.jpg", token({ bucket: "reuse", fileid: "", lifeSeconds: 3_600 }));
    expect([unbound.status, unbound.body.equals(jpeg)]).toEqual([200, true]);
  });

  test.each([
    ["none", () => undefined, "-46618"],
    ["garbage", () => "%%%", "-46618"],
    ["for another file", () => token({ bucket: "reuse", fileid: "other.jpg", lifeSeconds: 60 }), "-46618"],
    ["for another bucket", () => token({ bucket: "once", fileid: "", lifeSeconds: 60 }), "-46618"],
    ["expired", () => token({ bucket: "reuse", fileid: "", lifeSeconds: -1 }), "-46619"],
    ["of an unknown key", () => token({ bucket: "reuse", fileid: "", lifeSeconds: 60, key: KEYS[1] }), "-46618"],
    ["one-time without a file", () => token({ bucket: "reuse", fileid: "" }), "-76"],
    ["living too long", () => token({ bucket: "reuse", fileid: "", lifeSeconds: 93 * 86_400 }), "-46618"],
  ])("a token that is %s is refused with its code", async (_name, make, errNo) => {
    const answer = await ask(HOSTS.reuse, "/refused.jpg", make());
    expect([answer.status, answer.headers["x-errno"], answer.headers["x-request-id"]]).toEqual([
      403,
      errNo,
      expect.any(String),
    ]);
    expect(origin.requests.some((request) => request.target === "/refused.jpg")).toBe(false);
  });

  test("a one-time token is spent exactly once in a race of 50, and stays spent after a kill -9", async () => {
    await ask(HOSTS.once, "/once.jpg", token({ bucket: "once", fileid: "", lifeSeconds: 60 }));
    const sign = token({ bucket: "once", fileid: "once.jpg" });
    const head = await get({
      port: program.downloadPort,
      host: HOSTS.once,
      method: "HEAD",
      path: `/once.jpg?sign=${encodeURIComponent(sign)}`,
    });
    expect(head.status).toBe(200);
    const answers = await Promise.all(Array.from({ length: 50 }, () => ask(HOSTS.once, "/once.jpg", sign)));
    const winners = answers.filter((answer) => answer.status === 200);
    expect(winners).toHaveLength(1);
    expect([winners[0]?.body.equals(jpeg), winners[0]?.headers["cache-control"]]).toEqual([true, "no-store"]);
    expect(answers.filter((answer) => answer.headers["x-errno"] === "-77")).toHaveLength(49);
    await program.kill();
    program = await installation.start();
    expect((await ask(HOSTS.once, "/once.jpg", sign)).headers["x-errno"]).toBe("-77");
  });

  test("oneTimeDownloads: reuse serves every time, and refuse never", async () => {
    const sign = token({ bucket: "reuse", fileid: "again.jpg" });
    for (let time = 0; time < 3; time += 1) {
      const answer = await ask(HOSTS.reuse, "/again.jpg", sign);
      expect([answer.status, answer.headers["cache-control"]]).toEqual([200, "private, no-cache"]);
    }
    expect((await ask(HOSTS.refuse, "/no.jpg", token({ bucket: "refuse", fileid: "no.jpg" }))).headers["x-errno"]).toBe(
      "-74",
    );
  });

  test("a white-listed Referer needs no token, and any other, or none, is refused", async () => {
    const friend = await ask(HOSTS.listed, "/r.jpg", undefined, { Referer: "https://www.friend.example/page" });
    expect([friend.status, friend.headers.vary]).toEqual([200, expect.stringMatching(/Referer/)]);
    for (const headers of [{}, { Referer: "https://friend.example.evil.example/" }]) {
      const answer = await ask(
        HOSTS.listed,
        "/r.jpg",
        token({ bucket: "listed", fileid: "", lifeSeconds: 60 }),
        headers as Record<string, string>,
      );
      expect([answer.status, answer.headers["x-errno"]]).toEqual([403, "-108"]);
    }
  });

  test("every answer of a domain with a Referer list carries the Vary of its images", async () => {
    const friend = { Referer: "https://www.friend.example/page" };
    const stranger = { Referer: "https://stranger.example/page" };
    const vary = async (path: string, headers: Record<string, string>) => {
      const answer = await ask(HOSTS.listed, path, undefined, headers);
      return [answer.status, answer.headers.vary];
    };
    expect(await vary("/v.jpg", friend)).toEqual([200, "Referer"]);
    expect(await vary("/v.jpg", { ...friend, "If-Match": '"x"' })).toEqual([412, "Referer"]);
    expect(await vary("/v.jpg", stranger)).toEqual([403, "Referer"]);
    expect(await vary("/v.jpg?imageView2/2/w/0", friend)).toEqual([400, "Referer"]);
    const auto = "/v.jpg?imageView2/2/w/32/format/auto";
    expect(await vary(auto, friend)).toEqual([200, "Referer, Accept"]);
    expect(await vary(auto, { ...friend, "If-Match": '"x"' })).toEqual([412, "Referer, Accept"]);
    expect(await vary(auto, stranger)).toEqual([403, "Referer, Accept"]);
  });

  test("keys rotate and are disabled while the server runs", async () => {
    const old = () =>
      ask(HOSTS.reuse, "/rotate.jpg", token({ bucket: "reuse", fileid: "", lifeSeconds: 60, key: KEYS[0] }));
    const fresh = () =>
      ask(HOSTS.reuse, "/rotate.jpg", token({ bucket: "reuse", fileid: "", lifeSeconds: 60, key: KEYS[1] }));
    const sameOld = token({ bucket: "reuse", fileid: "", lifeSeconds: 600 });
    expect((await ask(HOSTS.reuse, "/rotate.jpg", sameOld)).status).toBe(200);
    const until = async (status: number, request: () => Promise<{ status: number }>) => {
      const deadline = Date.now() + 5_000;
      while ((await request()).status !== status)
        if (Date.now() > deadline) throw new Error(`no ${status} within 5 s of the change`);
    };
    await installation.write(settings([KEYS[0], KEYS[1]]));
    await until(200, fresh);
    expect((await old()).status).toBe(200);
    await installation.write(settings([{ ...KEYS[0], enabled: false }, KEYS[1]]));
    await until(403, old);
    // The very token that was cached as valid before.
    expect((await ask(HOSTS.reuse, "/rotate.jpg", sameOld)).status).toBe(403);
    expect((await fresh()).status).toBe(200);
  });
});
