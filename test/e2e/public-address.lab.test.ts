// The public address in responses: behind a real nginx with config/nginx.conf, and after the settings change while the
// server runs.
import { execFile } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { connect as connectHttp2 } from "node:http2";
import { join } from "node:path";
import { promisify } from "node:util";
import { Agent, buildConnector, fetch as fetchThrough } from "undici";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Client, createClient, verifyCallback } from "../../src/client/client.ts";
import { get } from "../helpers/get.ts";
import { noisyJpeg } from "../helpers/images.ts";
import { loadedHuiyuan } from "../helpers/loaded-program.ts";
import { eventually, type Installation, install, type Program } from "../helpers/program.ts";
import { callApi, fileForm, uploadToken } from "../helpers/rest-api.ts";
import { type ScriptedService, startService } from "../helpers/scripted-service.ts";
import { freePort, type Nginx, needs, startNginx } from "../helpers/services.ts";
import { APPID, KEYS } from "../helpers/settings.ts";

const TRY_HOST = "try.example.com";
const HOST = "img.example.com";
const MEMBERS_HOST = "members.example.com";
const API_HOST = "api.example.com";
const run = promisify(execFile);

function settingsWith(server: object, bucket: object): object {
  const buckets = [
    { name: "photos", domains: [{ host: TRY_HOST }, { host: HOST }], ...bucket },
    { name: "members", token: "required", domains: [{ host: MEMBERS_HOST }] },
  ];
  return { server, projects: [{ appid: APPID, keys: [KEYS[0]], buckets }] };
}

let jpeg: Buffer;
let installation: Installation;
let program: Program;

beforeAll(async () => {
  jpeg = await noisyJpeg(320, 240);
});

describe("behind nginx with config/nginx.conf", needs("nginx", "openssl"), () => {
  const SECRET = "the secret of the callback";
  let business: ScriptedService;
  let nginx: Nginx;
  let agent: Agent;
  let certificate: Buffer;
  let ports: { readonly http: number; readonly https: number };

  beforeAll(async () => {
    business = await startService();
    business.answers({ json: {} });
    const callback = { url: business.url, secret: SECRET, allowPrivate: true };
    const server = { publicScheme: "https", trustedProxies: ["127.0.0.1"], accessLog: "all" };
    installation = await install(settingsWith(server, { publicDomain: HOST, callback }));
    program = await installation.start();
    ports = { http: await freePort(), https: await freePort() };
    nginx = await startNginx({ root: installation.folder, httpConf: await nginxConf(installation.folder) });
    agent = agentFor(ports.https);
  });
  afterAll(async () => {
    await agent?.close();
    await nginx?.remove();
    await program?.stop();
    await installation?.remove();
    await business?.close();
  });

  const clientOf = (bucket: string): Client =>
    createClient({
      ...{ endpoint: `https://${API_HOST}`, appid: APPID, bucket, ...KEYS[0] },
      fetch: through as unknown as typeof fetch, // undici's own types differ from those of node's fetch.
    });
  const through = (url: string, init = {}) => fetchThrough(url, { ...init, dispatcher: agent });
  const answerOf = async (url: string) => {
    const response = await through(url);
    return { status: response.status, body: Buffer.from(await response.arrayBuffer()) };
  };
  const signed = async (bucket: string, fileid: string) => {
    const args = ["sign", "download", fileid, "--bucket", bucket, "--config", installation.file];
    return (await loadedHuiyuan(args)).out.trim();
  };

  test("an upload, a stat, a callback and `huiyuan sign` return the same URL, and nginx serves it", async () => {
    const fileid = "2016/图 1.jpg";
    const client = clientOf("photos");
    const { downloadUrl } = await client.upload(jpeg, { fileid });
    expect(downloadUrl).toBe(`https://${HOST}/2016/%E5%9B%BE%201.jpg`);
    expect((await client.stat(fileid))?.downloadUrl).toBe(downloadUrl);
    const verdict = verifyCallback(business.requests[0]?.body ?? "", { secret: SECRET });
    const told = verdict.ok ? verdict.notice.url : "";
    expect(told).toBe(downloadUrl);
    const signedUrl = await signed("photos", fileid);
    expect(signedUrl.split("?")[0]).toBe(downloadUrl);
    for (const url of [downloadUrl, told, signedUrl]) expect(await answerOf(url)).toEqual({ status: 200, body: jpeg });
  });

  test("a signed URL opens a bucket that requires a token", async () => {
    const { downloadUrl } = await clientOf("members").upload(jpeg, { fileid: "a.jpg" });
    expect(downloadUrl).toBe(`https://${MEMBERS_HOST}/a.jpg`);
    expect((await answerOf(downloadUrl)).status).toBe(403);
    expect(await answerOf(await signed("members", "a.jpg"))).toEqual({ status: 200, body: jpeg });
  });

  test("the API's own URL of an image works too", async () => {
    const { url } = await clientOf("photos").upload(jpeg, { fileid: "2016/2.jpg" });
    expect(url).toBe(`https://${API_HOST}/photos/v2/${APPID}/photos/0/2016%2F2.jpg`);
    const { status, body } = await answerOf(url);
    expect([status, JSON.parse(body.toString()).code]).toEqual([200, 0]);
  });

  test("the API's own URL has the scheme and port that its caller used, if no proxy passed the call on", async () => {
    const { downloadPort: port } = program;
    const urlFor = async (fileid: string, headers: Readonly<Record<string, string>>) => {
      const form = fileForm(jpeg);
      return (
        await callApi({ port, path: `/${fileid}`, host: `127.0.0.1:${port}`, sign: uploadToken(), form, headers })
      ).data;
    };
    const path = (fileid: string) => `/photos/v2/${APPID}/photos/0/${fileid}`;
    const { url, download_url } = await urlFor("direct.jpg", {});
    expect([url, download_url]).toEqual([
      `http://127.0.0.1:${port}${path("direct.jpg")}`,
      `https://${HOST}/direct.jpg`,
    ]);
    const stat = await fetch(url as string);
    expect([stat.status, await stat.json()]).toEqual([200, expect.objectContaining({ code: 0 })]);
    for (const name of ["x-forwarded-for", "x-forwarded-proto"])
      expect((await urlFor(`${name}.jpg`, { [name]: "192.0.2.7" })).url).toBe(
        `https://127.0.0.1${path(`${name}.jpg`)}`,
      );
    const logged = [`http://127.0.0.1:${port}${path("direct.jpg")}`, `https://127.0.0.1${path("x-forwarded-for.jpg")}`];
    await eventually(async () => {
      const log = await (await fetch(`http://127.0.0.1:${program.adminPort}/api/v1/log?latest=20`)).text();
      return logged.every((each) => log.includes(`"url":"${each}"`));
    }, "the operation log has the same URLs");
  });

  test("huiyuan check names the same address", async () => {
    const { out } = await loadedHuiyuan(["check", "--config", installation.file]);
    expect(out).toContain(`public address of ${APPID}/photos: https://${HOST}\n`);
  });

  test("a range, a conditional request and an unusual path pass unchanged, and the log has the client's address", async () => {
    const fileid = "a//b%2Fc+d.jpg"; // nginx would merge slashes and decode if it did not pass the path on as it is
    const { downloadUrl } = await clientOf("photos").upload(jpeg, { fileid });
    const headers = { range: "bytes=10-19", "x-forwarded-for": "192.0.2.7, 198.51.100.9" };
    const part = await through(downloadUrl, { headers });
    expect([part.status, part.headers.get("content-range")]).toEqual([206, `bytes 10-19/${jpeg.length}`]);
    expect(Buffer.from(await part.arrayBuffer())).toEqual(jpeg.subarray(10, 20));
    const etag = part.headers.get("etag") ?? "";
    expect((await through(downloadUrl, { headers: { "if-none-match": etag } })).status).toBe(304);
    // nginx appends the address that it sees, 127.0.0.1, which is trusted. The next one to the left is the client.
    await eventually(() => /"client":"198\.51\.100\.9"/.test(program.output), "the client's address is logged");
  });

  test("plain HTTP is redirected, with path and query as they are", async () => {
    const answer = await get({ port: ports.http, path: "/a//b%2Fc.jpg?sign=a%2Bb", host: HOST });
    expect([answer.status, answer.headers.location]).toEqual([308, `https://${HOST}/a//b%2Fc.jpg?sign=a%2Bb`]);
  });

  test("an image is served over HTTP/2", async () => {
    const { downloadUrl } = await clientOf("photos").upload(jpeg, { fileid: "2016/h2.jpg" });
    const session = connectHttp2(`https://127.0.0.1:${ports.https}`, { ca: certificate, servername: HOST });
    const request = session.request({ ":path": new URL(downloadUrl).pathname, ":authority": HOST });
    const [headers] = await once(request, "response");
    expect([headers[":status"], headers["content-length"]]).toEqual([200, String(jpeg.length)]);
    request.resume();
    await once(request, "end");
    session.close();
  });

  test("a large upload passes, a refused one gets its code, and a larger one gets 413 from nginx", async () => {
    const large = Buffer.concat([jpeg, Buffer.alloc(20 * 1_048_576 - jpeg.length)]); // limits.objectSize
    const { downloadUrl } = await clientOf("photos").upload(large, { fileid: "2016/large.jpg" });
    expect((await answerOf(downloadUrl)).body.equals(large)).toBe(true);
    const stranger = createClient({
      ...{ endpoint: `https://${API_HOST}`, appid: APPID, bucket: "photos", secretId: "AKIDNOBODY", secretKey: "none" },
      fetch: through as unknown as typeof fetch,
    });
    await expect(stranger.upload(large, { fileid: "2016/refused.jpg" })).rejects.toMatchObject({ code: -79 });
    await expect(clientOf("photos").upload(Buffer.alloc(25 * 1_048_576), { fileid: "huge.jpg" })).rejects.toMatchObject(
      { httpStatus: 413 },
    );
  });

  /** config/nginx.conf with the ports of this test, and a certificate that it makes in the folder. */
  async function nginxConf(folder: string): Promise<string> {
    const [cert, key] = [join(folder, "cert.pem"), join(folder, "key.pem")];
    const names = [HOST, MEMBERS_HOST, API_HOST].map((host) => `DNS:${host}`).join(",");
    const subject = ["-subj", `/CN=${HOST}`, "-addext", `subjectAltName=${names}`];
    const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    await run("openssl", ["req", "-x509", ...curve, "-days", "1", ...subject, "-keyout", key, "-out", cert]);
    certificate = await readFile(cert);
    let conf = await readFile(new URL("../../config/nginx.conf", import.meta.url), "utf8");
    const replacements: readonly [found: string | RegExp, by: string][] = [
      [/^ *listen \[::\]:.*$/gm, ""], // this machine may have no IPv6
      ["listen 80;", `listen 127.0.0.1:${ports.http};`],
      ["listen 443 ssl", `listen 127.0.0.1:${ports.https} ssl`],
      ["/etc/letsencrypt/live/img.example.com/fullchain.pem", cert],
      ["/etc/letsencrypt/live/img.example.com/privkey.pem", key],
      ["server 127.0.0.1:8080;", `server 127.0.0.1:${program.downloadPort};`],
    ];
    for (const [found, by] of replacements) {
      expect(conf).toMatch(found);
      conf = conf.replaceAll(found, by);
    }
    return conf;
  }

  /** Dials nginx for every https URL without a port, whatever the host. */
  function agentFor(port: number): Agent {
    const dial = buildConnector({ ca: certificate });
    return new Agent({
      connect(options, callback) {
        if (options.protocol === "https:" && (options.port === "" || options.port === "443")) {
          dial({ ...options, servername: options.hostname, hostname: "127.0.0.1", port: String(port) }, callback);
        } else callback(new Error(`${options.protocol}//${options.host} is not the public address`), null);
      },
    });
  }
});

describe("a server that clients reach directly", () => {
  beforeEach(async () => {
    installation = await install(settingsWith({}, {}));
    program = await installation.start();
  });
  afterEach(async () => {
    await program?.stop();
    await installation?.remove();
  });

  const call = (path: string) => callApi({ port: program.downloadPort, path, host: `${API_HOST}:8080` });
  const fileUrl = async () => (await call("/a.jpg")).data.file_url;

  test("returns URLs with its bound port, and applies a new public address without a restart", async () => {
    const { data } = await callApi({
      port: program.downloadPort,
      path: "/a.jpg",
      host: `${API_HOST}:8080`,
      sign: uploadToken(),
      form: fileForm(jpeg),
    });
    expect(data).toMatchObject({
      url: `http://${API_HOST}:8080/photos/v2/${APPID}/photos/0/a.jpg`,
      download_url: `http://${TRY_HOST}:${program.downloadPort}/a.jpg`,
    });
    const changes: readonly [server: object, bucket: object, url: string][] = [
      [{ publicScheme: "https" }, {}, `https://${TRY_HOST}/a.jpg`],
      [{ publicScheme: "https", publicPort: 8443 }, {}, `https://${TRY_HOST}:8443/a.jpg`],
      [{ publicPort: 80 }, { publicDomain: HOST }, `http://${HOST}/a.jpg`],
      [{ port: 8079 }, { publicDomain: HOST }, `http://${HOST}:${program.downloadPort}/a.jpg`],
    ];
    for (const [index, [server, bucket, url]] of changes.entries()) {
      await installation.write(settingsWith(server, bucket));
      await eventually(async () => (await fileUrl()) === url, `file_url is ${url}`);
      // 127.0.0.1 is not among trustedProxies.
      const headers = { "x-forwarded-proto": "https", "x-forwarded-for": "192.0.2.7" };
      const path = `/${index}.jpg`;
      const sent = { port: program.downloadPort, path, host: `${API_HOST}:8080`, sign: uploadToken(), headers };
      const { data: own } = await callApi({ ...sent, form: fileForm(jpeg) });
      expect(own.url).toBe(`http://${API_HOST}:8080/photos/v2/${APPID}/photos/0${path}`);
    }
    // Only a new listening port needs a restart.
    const notes = () => [...program.output.matchAll(/"restartNeededFor":(\[.*?\])/g)].map(([, keys]) => keys);
    await eventually(() => notes().length >= changes.length, "the last reload is logged");
    expect(notes()).toEqual(["[]", "[]", "[]", '["server.port"]']);
  });
});
