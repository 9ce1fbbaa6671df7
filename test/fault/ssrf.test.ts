// Internal addresses at every place that accepts a URL: settings, origins of all types by name and by redirect,
// callbacks, image watermarks, redirectTo, the S3 store, doctor and try. Settings and the dialer are tested with every
// spelling, the other places with one of each kind. Each refuses with its own code, and a listener on all addresses of
// this machine sees no connection. Redirects and names of web sites are in rows/guard.ts. It is long because all tests
// share that listener.
import { createHash } from "node:crypto";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { findPictures } from "../../src/operate/doctor/find-pictures.ts";
import { SettingsFaults } from "../../src/settings/faults.ts";
import { parseSettings } from "../../src/settings/load.ts";
import { get } from "../helpers/get.ts";
import { noisyJpeg } from "../helpers/images.ts";
import { INSIDE_ANSWERS, INSIDE_HOSTS, ONE_ANSWER_OF_A_KIND, ONE_HOST_OF_A_KIND } from "../helpers/inside-hosts.ts";
import { loadedHuiyuan } from "../helpers/loaded-program.ts";
import { type NameServer, type NameTable, startNameServer } from "../helpers/name-server.ts";
import { type Installation, install, type Program } from "../helpers/program.ts";
import { callApi, fileForm, uploadToken } from "../helpers/rest-api.ts";
import { response, type ScriptedOrigin, startScriptedOrigin } from "../helpers/scripted-origin.ts";
import { APPID, KEYS } from "../helpers/settings.ts";
import { startInside } from "./lab.ts";

let picture: Buffer;
let inside: ScriptedOrigin;
beforeAll(async () => {
  picture = await noisyJpeg(40, 30);
  inside = await startInside(picture);
});
afterAll(() => inside?.close());
afterEach(() => expect(inside.connections).toBe(0));

const urlAt = (host: string, path = "") => `http://${host}:${inside.port}${path}`;

test("the listener inside counts every connection that reaches it", async () => {
  const other = await startInside(picture);
  expect((await get({ port: other.port, path: "/" })).status).toBe(200);
  expect(other.connections).toBe(1);
  await other.close();
});

// Settings

const s3Place = { region: "r", bucket: "pics", pathStyle: true };
const s3Keys = { accessKeyId: "AK", secretAccessKey: "SK" };

interface Place {
  readonly what: string;
  /** The settings path of the expected fault. */
  readonly path: string;
  settings(url: string): object;
}

const withOrigin = (origin: object) => project({ domains: [{ host: "own.example", mirror: { origins: [origin] } }] });
const project = (bucket: object, more: object = {}) => ({
  ...more,
  projects: [{ appid: APPID, keys: [KEYS[0]], buckets: [{ name: "photos", ...bucket }] }],
});

const PLACES: readonly Place[] = [
  { what: "a site", path: "url", settings: (url) => withOrigin({ type: "site", url }) },
  { what: "a Qiniu domain", path: "domain", settings: (domain) => withOrigin({ type: "qiniu", domain }) },
  { what: "an S3 origin", path: "endpoint", settings: (endpoint) => withOrigin({ type: "s3", endpoint, ...s3Place }) },
  {
    what: "the S3 store",
    path: "store.endpoint",
    settings: (endpoint) => project({}, { store: { type: "s3", endpoint, ...s3Place, ...s3Keys } }),
  },
  {
    what: "a callback",
    path: "callback.url",
    settings: (url) => project({ callback: { url, secret: "the secret of the callback" } }),
  },
];

/** URLs that every setting refuses, even if a browser would accept them. */
const TRICKS: readonly string[] = [
  "http://user@cdn.example",
  "http://user:pw@cdn.example",
  "http://127.0.0.1\\@cdn.example",
  "http://127.0.0.1#@cdn.example",
  "http://cdn.example\r\nHost: inside",
  "http://[fe80::1%25eth0]",
  "http://cdn.example:22",
  "http://cdn.example:25",
  "http://cdn.example:6379",
  "http://cdn.example:0",
  "file:///etc/passwd",
  "gopher://cdn.example",
  "data:text/plain,x",
  "ftp://cdn.example",
  "//cdn.example",
];

/** Settings paths of the faults; empty if the settings are accepted. */
function faultsOf(settings: object): readonly string[] {
  const readFile = () => "";
  try {
    parseSettings(JSON.stringify(settings), { env: {}, readFile, file: "/nowhere/huiyuan.yaml" });
    return [];
  } catch (error) {
    if (error instanceof SettingsFaults) return error.faults.map(({ path }) => path);
    throw error;
  }
}

describe.each(PLACES)("settings: $what", ({ what, path, settings }) => {
  const hosts = what === "a site" ? INSIDE_HOSTS : ONE_HOST_OF_A_KIND;

  test("a public address is accepted", () => {
    expect(faultsOf(settings("https://cdn.example"))).toEqual([]);
  });
  test.each(hosts)("a URL to %s is refused", (host) => {
    expect(faultsOf(settings(`http://${host}:8000`))).toContainEqual(expect.stringMatching(`${path}$`));
  });
  test.each(TRICKS.map((url) => ({ url, shown: JSON.stringify(url) })))("the URL $shown is refused", ({ url }) => {
    expect(faultsOf(settings(url))).toContainEqual(expect.stringMatching(`${path}$`));
  });
});

// The running program: names, redirects, watermark URLs

const REBOUND = { inTurn: [["127.0.0.1"], ["169.254.169.254"]] };
const KINDS = ["site", "qiniu", "s3"] as const;
type Kind = (typeof KINDS)[number];

describe("the running program", () => {
  let home: ScriptedOrigin;
  let names: NameServer;
  let installation: Installation;
  let program: Program;
  /** Redirect targets of the home server, by path. */
  const locations = new Map<string, string>();

  const originOf = (kind: Kind, url: string, more: object = {}) => {
    if (kind === "site") return { type: "site", url, ...more };
    return kind === "qiniu"
      ? { type: "qiniu", domain: url, ...more }
      : { type: "s3", endpoint: url, ...s3Place, ...more };
  };
  const domain = (host: string, origin: object) => ({
    host,
    // Each row tests one request, so no breaker of an equal origin may open.
    mirror: { origins: [origin], breaker: { failures: 10_000 }, negativeTtl: "0s" },
  });
  /** All kinds share one dialer, so one kind is tested with the whole list. */
  const answersFor = (kind: string) => (kind === "site" ? INSIDE_ANSWERS : ONE_ANSWER_OF_A_KIND);
  const nameFor = (kind: string, index: number) => `${kind}-${index}.test`;
  const hostFor = (kind: string, index: number) => `host.${nameFor(kind, index)}`;

  beforeAll(async () => {
    home = await startScriptedOrigin(async ({ target, method }, connection) => {
      const path = target.split("?", 1)[0]?.replace(/^\/pics/, "") ?? "";
      const location = locations.get(path);
      if (location !== undefined) {
        const headers = { Location: Buffer.from(location).toString("latin1"), Connection: "close" };
        await connection.send(response("", { status: "302 Found", headers }));
        return connection.end();
      }
      await connection.send(response(method === "POST" ? "{}" : picture, { headers: { Connection: "close" } }));
      connection.end();
    });
    const all = [...KINDS, "callback"];
    const inside = all.flatMap((kind) =>
      answersFor(kind).map((answers, index) => [hostFor(kind, index), answers] as const),
    );
    const table: NameTable = {
      localhost: ["127.0.0.1", "::1"],
      ...Object.fromEntries(inside),
      ...Object.fromEntries(all.map((kind) => [`host.rebound-${kind}.test`, REBOUND] as const)),
    };
    names = await startNameServer(table);
    const callback = (url: string, more: object = {}) => ({ url, secret: "the secret of the callback", ...more });
    const mine = { allowPrivate: true };
    installation = await install({
      projects: [
        {
          appid: APPID,
          keys: KEYS,
          buckets: [
            {
              name: "photos",
              domains: [
                ...KINDS.flatMap((kind) => [
                  ...answersFor(kind).map((_, index) =>
                    domain(nameFor(kind, index), originOf(kind, urlAt(hostFor(kind, index)))),
                  ),
                  domain(`rebound-${kind}.test`, originOf(kind, `http://host.rebound-${kind}.test:${home.port}`, mine)),
                  domain(`home-${kind}.test`, originOf(kind, home.url, mine)),
                ]),
                {
                  host: "sent-away.test",
                  mirror: {
                    origins: [originOf("site", home.url, mine)],
                    rules: [{ match: {}, action: "redirect", redirectTo: urlAt("127.0.0.1") }],
                  },
                },
              ],
            },
            ...answersFor("callback").map((_, index) => ({
              name: `told-${index}`,
              callback: callback(urlAt(hostFor("callback", index), "/uploaded")),
            })),
            {
              name: "told-rebound",
              callback: callback(`http://host.rebound-callback.test:${home.port}/uploaded`, mine),
            },
            { name: "told-redirect", callback: callback(`${home.url}/redirected`, mine) },
          ],
        },
      ],
    });
    program = await installation.start({
      env: {
        NODE_OPTIONS: `--import=${new URL("answer-names.mjs", import.meta.url).href}`,
        LAB_NAME_SERVER: names.address,
      },
    });
  });
  afterAll(async () => {
    await program?.kill();
    await installation?.remove();
    await names?.close();
    await home?.close();
  });

  const ask = async (host: string, path: string) => {
    const { status, headers } = await get({ port: program.downloadPort, host, path });
    return `${status}, ${headers["x-errno"]}`;
  };
  const upload = (bucket: string, fileid: string) =>
    callApi({
      port: program.downloadPort,
      target: `/photos/v2/${APPID}/${bucket}/0/${fileid}`,
      form: fileForm(picture),
      sign: uploadToken(fileid, bucket),
    });

  const named = [...KINDS, "callback"].flatMap((kind) =>
    answersFor(kind).map((answers, index) => ({ kind, index, shown: answers.join(" and ") })),
  );
  test.each(named)("$kind: a name that resolves to $shown is blocked", async ({ kind, index }) => {
    if (kind === "callback") {
      const { code, data } = await upload(`told-${index}`, "a.jpg");
      expect([code, data.callback]).toEqual([-5979, { reason: "blocked" }]);
    } else {
      expect(await ask(nameFor(kind, index), "/a.jpg")).toBe("424, -120");
    }
    expect(names.asked(hostFor(kind, index))).toBeGreaterThan(0);
  });

  test.each(KINDS)("%s: a name that resolves to a private address at the second look-up is blocked", async (kind) => {
    expect(await ask(`rebound-${kind}.test`, `/${kind}-1.jpg`)).toBe("200, undefined");
    expect(await ask(`rebound-${kind}.test`, `/${kind}-2.jpg`)).toBe("424, -120");
  });

  test("a callback's name that resolves to a private address at the second notice is blocked", async () => {
    expect((await upload("told-rebound", "first.jpg")).code).toBe(0);
    expect((await upload("told-rebound", "second.jpg")).data.callback).toEqual({ reason: "blocked" });
  });

  const redirects = [
    ...ONE_HOST_OF_A_KIND.map((host) => `http://${host}:PORT/x.jpg`),
    "http://cdn.example@127.0.0.1:PORT/x.jpg",
    "http://127.0.0.1:PORT\\@cdn.example/x.jpg",
    "http://127.0.0.1%0d%0a:PORT/x.jpg",
    "//127.0.0.1:PORT/x.jpg",
    "file:///etc/passwd",
    "gopher://127.0.0.1:PORT/_x",
    "ftp://127.0.0.1:PORT/x.jpg",
    "data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw==",
  ].flatMap((location) => (["qiniu", "s3"] as const).map((kind) => ({ kind, location })));
  test.each(redirects)("$kind: a redirect to $location is blocked", async ({ kind, location }) => {
    const name = `/${createHash("md5")
      .update(kind + location)
      .digest("hex")}.jpg`;
    locations.set(name, location.replaceAll("PORT", String(inside.port)));
    const before = home.requests.length;
    expect(await ask(`home-${kind}.test`, name)).toBe("424, -120");
    expect(home.requests.length).toBe(before + 1);
  });

  test("a callback's redirect is not followed", async () => {
    locations.set("/redirected", urlAt("127.0.0.1"));
    expect((await upload("told-redirect", "a.jpg")).data.callback).toEqual({ reason: "status", status: 302 });
  });

  test.each(ONE_HOST_OF_A_KIND)("an image watermark at %s is refused", async (host) => {
    const mark = Buffer.from(urlAt(host, "/x.jpg")).toString("base64url");
    expect(await ask("home-site.test", `/marked.jpg?watermark/1/image/${mark}`)).toBe("400, -106");
  });

  test("redirectTo sends only the client to the address, and the program does not dial it", async () => {
    const answer = await get({ port: program.downloadPort, host: "sent-away.test", path: "/a.jpg" });
    expect([answer.status, answer.headers.location]).toEqual([302, urlAt("127.0.0.1", "/a.jpg")]);
  });

  test("explain makes no connection", async () => {
    const url = `http://${nameFor("site", 0)}/a.jpg`;
    const ended = await loadedHuiyuan(["explain", url, "--admin", `http://127.0.0.1:${program.adminPort}`]);
    expect(ended).toMatchObject({ code: 0, out: expect.stringContaining(urlAt(hostFor("site", 0), "/a.jpg")) });
  });
});

// Commands and the store

describe("doctor", () => {
  test.each(["127.0.0.1", "169.254.169.254", "localhost"])("doctor blocks an origin at %s", async (host) => {
    const { code, out, err } = await loadedHuiyuan(["doctor", urlAt(host), "a.jpg", "--json"]);
    expect([code, out + err]).toEqual([1, expect.stringMatching(/origin_blocked|is never dialled/)]);
    expect(out).not.toContain('"settings"');
  });

  test("--allow-private allows neither a metadata service nor another port of the same host", async () => {
    for (const host of ["169.254.169.254", "[fd00:ec2::254]"]) {
      const { code, err } = await loadedHuiyuan(["doctor", urlAt(host), "a.jpg", "--json", "--allow-private"]);
      expect([host, code, err]).toEqual([host, 1, expect.stringContaining("is never dialled")]);
    }
    const home = await startScriptedOrigin({
      "*": [response("", { status: "302 Found", headers: { Location: urlAt("127.0.0.1", "/a.jpg") } })],
    });
    const { out } = await loadedHuiyuan(["doctor", home.url, "a.jpg", "--json", "--allow-private"]);
    expect(JSON.parse(out).findings.find(({ id }: { id: string }) => id === "image").found).toContain("origin_blocked");
    await home.close();
  });
});

test.each(ONE_HOST_OF_A_KIND)("try does not follow a home page's redirect to %s", async (host) => {
  const headers = { Location: Buffer.from(urlAt(host, "/")).toString("latin1") };
  const home = await startScriptedOrigin({ "*": [response("", { status: "302 Found", headers })] });
  expect((await findPictures(home.url, true)).pictures).toEqual([]);
  await home.close();
});

test.each([["127.0.0.1"], ["8.8.8.8", "169.254.169.254"]])(
  "the S3 store refuses a name that resolves to %s",
  async (...answers) => {
    const names = await startNameServer({ "store.test": answers });
    const store = { type: "s3", endpoint: urlAt("store.test"), ...s3Place, ...s3Keys };
    const installation = await install(project({}, { store }));
    const env = {
      NODE_OPTIONS: `--import=${new URL("answer-names.mjs", import.meta.url).href}`,
      LAB_NAME_SERVER: names.address,
    };
    const started = await installation.start({ env }).then(
      async (program) => {
        const ready = await get({ port: program.adminPort, path: "/readyz", host: "127.0.0.1" });
        await program.kill();
        return `${ready.status}: ${ready.body}`;
      },
      (error: Error) => error.message,
    );
    expect(started).toMatch(/is (private|forbidden)/);
    expect(names.asked("store.test")).toBeGreaterThan(0);
    await installation.remove();
    await names.close();
  },
);
