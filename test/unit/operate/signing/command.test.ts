import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { signCommand } from "../../../../src/operate/signing/command.ts";
import { type KeyLookup, type Scope, tokenFromQuery } from "../../../../src/serve/sign/token.ts";
import { run } from "../../../helpers/run-command.ts";
import { verifyToken } from "../../../helpers/tokens.ts";

const SETTINGS = `
server: { baseDomain: image.example.com, port: 8080 }
projects:
  - appid: "10001234"
    keys:
      - { secretId: AKIDOFF, secretKey: off, enabled: false }
      - { secretId: AKIDONE, secretKey: one }
    buckets:
      - { name: photos, domains: [{ host: pictures.example.com }] }
  - appid: "10005678"
    keys:
      - { secretId: AKIDTWO, secretKey: two }
      - { secretId: AKIDTHREE, secretKey: three }
    buckets:
      - { name: photos, domains: [{ host: "*" }] }
      - { name: videos }
`;

const KEYS: KeyLookup = (secretId) => {
  const secretKey = { AKIDONE: "one", AKIDTWO: "two", AKIDTHREE: "three", AKIDENV: "from the environment" }[secretId];
  return secretKey === undefined ? undefined : { secretKey, enabled: true };
};

let folder: string;
let config: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "huiyuan-sign-"));
  config = join(folder, "huiyuan.yaml");
  writeFileSync(config, SETTINGS);
});
afterAll(() => rmSync(folder, { recursive: true }));
beforeEach(() => {
  vi.stubEnv("HUIYUAN_SECRET_KEY", "from the environment");
});
afterEach(() => {
  vi.unstubAllEnvs();
});

const now = () => Math.floor(Date.now() / 1000);

/** The grant that the server would give for the token; the project is 10001234 by default. */
function granted(token: string, scope: Partial<Scope>) {
  const place = { operation: "delete", appid: "10001234", bucket: "photos", userid: "0", acceptV1: false };
  return verifyToken(token, KEYS, { ...place, oneTimeDownloads: "reuse", ...scope } as Scope, now());
}

/** The one line that the command prints. */
async function printed(...args: string[]): Promise<string> {
  const { out, error } = await run(signCommand, args);
  expect(error).toBeUndefined();
  return out.trimEnd();
}

async function usageError(...args: string[]): Promise<string> {
  const { out, err, error } = await run(signCommand, args);
  expect([error?.name, out]).toEqual(["CommanderError", ""]);
  return err;
}

/** The parts of a signed URL as the server reads them. */
function readUrl(text: string) {
  const [, base = "", path = "", query = ""] = /^(https?:\/\/[^/]+)\/([^?]*)\?(.*)$/.exec(text) ?? [];
  return { base, fileid: decodeURIComponent(path), path, ...tokenFromQuery(query) };
}

/** Keys to add to the settings of the server, and of the first bucket. */
interface Changes {
  readonly server?: string;
  readonly bucket?: string;
  readonly port?: number;
}

describe("sign download", () => {
  const ONE = ["--appid", "10001234"];

  test("makes a URL of the public domain from a fileid, good for 30 days", async () => {
    const url = readUrl(await printed("download", "a b/图+1.jpg", "--config", config, ...ONE));
    expect(url).toMatchObject({ base: "http://pictures.example.com:8080", rest: "" });
    expect(url.path).toBe("a%20b/%E5%9B%BE%2B1.jpg");
    const grant = granted(url.sign ?? "", { operation: "download", fileid: "a b/图+1.jpg" });
    expect(grant.kind).toBe("multi-use");
    if (grant.kind === "multi-use") expect(Math.abs(grant.expires - now() - 30 * 86_400)).toBeLessThan(5);
  });

  test.each([
    ["the first domain that is listed", {}, "http://pictures.example.com:8080"],
    [
      "publicDomain",
      { bucket: "publicDomain: photos-10001234.image.example.com" },
      "http://photos-10001234.image.example.com:8080",
    ],
    ["publicScheme", { server: "publicScheme: https" }, "https://pictures.example.com"],
    ["publicPort", { server: "publicPort: 80" }, "http://pictures.example.com"],
    [
      "publicScheme while the port is the kernel's choice",
      { server: "publicScheme: http", port: 0 },
      "http://pictures.example.com",
    ],
  ])("makes the URL of a fileid with %s", async (_, { server = "", bucket = "", port = 8080 }: Changes, base) => {
    const changed = join(folder, "changed.yaml");
    const text = SETTINGS.replace("port: 8080", `port: ${port}, ${server}`);
    const domains = "domains: [{ host: pictures.example.com }]";
    writeFileSync(changed, text.replace(domains, `${domains}, ${bucket}`));
    const url = readUrl(await printed("download", "a!b.jpg", "--config", changed, ...ONE));
    expect([url.base, url.path]).toEqual([base, "a%21b.jpg"]);
  });

  test.each([
    ["default domain", "http://photos-10005678.image.example.com:8080/a.jpg", "10005678", "photos"],
    ["configured domain, in any case and with a port", "https://Pictures.Example.COM:444/a.jpg", "10001234", "photos"],
    [
      "default domain of a bucket without domains",
      "http://videos-10005678.image.example.com/a.jpg",
      "10005678",
      "videos",
    ],
    ["any other host, by *", "http://elsewhere.example.com/a.jpg", "10005678", "photos"],
  ])("finds the bucket of a URL by its %s", async (_how, target, appid, bucket) => {
    const url = readUrl(await printed("download", target, "--config", config));
    expect(`${url.base}/${url.fileid}`).toBe(target);
    expect(granted(url.sign ?? "", { operation: "download", appid, bucket, fileid: "a.jpg" }).kind).toBe("multi-use");
  });

  test("keeps an instruction, replaces an old signature, and does not resolve //", async () => {
    const target = "http://pictures.example.com//x//%2541.jpg?sign=old&imageView2/2/w/200#top";
    const url = readUrl(await printed("download", target, "--config", config));
    expect([url.path, url.rest]).toEqual(["/x//%2541.jpg", "imageView2/2/w/200"]);
    expect(granted(url.sign ?? "", { operation: "download", fileid: "/x//%41.jpg" }).kind).toBe("multi-use");
  });

  test("--once makes a one-time token, --unbound one for every file, --expires a life", async () => {
    const once = readUrl(await printed("download", "a.jpg", "--once", "--config", config, ...ONE));
    expect(granted(once.sign ?? "", { operation: "download", fileid: "a.jpg" }).kind).toBe("one-time");
    const unbound = readUrl(
      await printed("download", "a.jpg", "--unbound", "--expires", "90s", "--config", config, ...ONE),
    );
    const grant = granted(unbound.sign ?? "", { operation: "download", fileid: "else.jpg" });
    expect(grant.kind === "multi-use" && Math.abs(grant.expires - now() - 90) < 5).toBe(true);
  });

  test("--json says what is in the token", async () => {
    const facts = JSON.parse(await printed("download", "a.jpg", "--json", "--config", config, ...ONE));
    expect(facts).toMatchObject({
      kind: "multi-use",
      appid: "10001234",
      bucket: "photos",
      secretId: "AKIDONE",
      fileid: "a.jpg",
    });
    expect(facts.expires - facts.issuedAt).toBe(30 * 86_400);
    expect(readUrl(facts.url).sign).toBe(facts.token);
  });

  test("signs for a bucket that is named, whatever the host", async () => {
    const url = readUrl(
      await printed("download", "https://cdn.example.net/a.jpg", "--bucket", "videos", "--config", config),
    );
    const scope = { operation: "download", appid: "10005678", bucket: "videos", fileid: "a.jpg" } as const;
    expect(granted(url.sign ?? "", scope).kind).toBe("multi-use");
  });

  test.each<[string, string[], RegExp]>([
    ["two buckets fit", ["a.jpg"], /--bucket: 10001234\/photos, 10005678\/photos, 10005678\/videos/],
    ["no bucket fits", ["a.jpg", "--bucket", "none"], /there are 10001234\/photos/],
    ["no key fits", ["a.jpg", "--appid", "10001234", "--secret-id", "AKIDOFF"], /no such enabled key pair/],
    ["a life of 0", ["a.jpg", "--expires", "0s"], /1s to 92d/],
    ["a life of 93 days", ["a.jpg", "--expires", "93d"], /1s to 92d/],
    ["a life without a unit", ["a.jpg", "--expires", "30"], /1s to 92d/],
    ["--once with --unbound", ["a.jpg", "--once", "--unbound"], /cannot be used with/],
    ["--once with --expires", ["a.jpg", "--once", "--expires", "1d"], /cannot be used with/],
    ["a dot segment", ["http://pictures.example.com/a/../b"], /segment/],
    ["an invalid escape", ["http://pictures.example.com/%zz"], /invalid % escape/],
    ["a URL without a fileid", ["http://pictures.example.com"], /empty/],
    ["nothing to sign", [], /missing required argument/],
  ])("is wrong usage: %s", async (_what, args, words) => {
    expect(await usageError("download", ...args, "--config", config)).toMatch(words);
  });
});

describe("sign upload, copy and delete", () => {
  const TWO = ["--appid", "10005678", "--bucket", "videos"];
  const place = { appid: "10005678", bucket: "videos" };

  test("upload prints a multi-use token, bound where a fileid is given", async () => {
    const bound = await printed("upload", "a.jpg", "--config", config, ...TWO);
    expect(granted(bound, { ...place, operation: "upload", fileid: "a.jpg" }).kind).toBe("multi-use");
    expect(() => granted(bound, { ...place, operation: "upload", fileid: "b.jpg" })).toThrow("another file");
    const free = await printed("upload", "--config", config, ...TWO);
    expect(granted(free, { ...place, operation: "upload", fileid: undefined }).kind).toBe("multi-use");
  });

  test.each(["copy", "delete"] as const)("%s prints a one-time token, another one every time", async (operation) => {
    const args = [operation, "a.jpg", "--config", config, ...TWO];
    const tokens = [await printed(...args), await printed(...args)];
    for (const token of tokens) expect(granted(token, { ...place, operation, fileid: "a.jpg" }).kind).toBe("one-time");
    expect(tokens[0]).not.toBe(tokens[1]);
  });

  test("--secret-id chooses the pair, --json says which", async () => {
    const args = ["delete", "a.jpg", "--config", config, ...TWO, "--json"];
    expect(JSON.parse(await printed(...args))).toMatchObject({ secretId: "AKIDTWO", kind: "one-time", expires: 0 });
    expect(JSON.parse(await printed(...args, "--secret-id", "AKIDTHREE"))).toMatchObject({ secretId: "AKIDTHREE" });
  });

  test("there is no unbound copy and no copy that lasts", async () => {
    expect(await usageError("copy", "a.jpg", "--unbound", "--config", config)).toMatch(/unknown option/);
    expect(await usageError("delete", "a.jpg", "--expires", "1d", "--config", config)).toMatch(/unknown option/);
    expect(await usageError("delete", "--config", config)).toMatch(/missing required argument/);
  });
});

describe("sign without a settings file", () => {
  const NAMED = ["--appid", "10001234", "--bucket", "photos", "--secret-id", "AKIDENV"];

  test("takes the SecretKey from the environment", async () => {
    const token = await printed("delete", "a.jpg", ...NAMED);
    expect(granted(token, { fileid: "a.jpg" }).kind).toBe("one-time");
    const url = readUrl(await printed("download", "https://cdn.example.com/a.jpg", ...NAMED));
    expect(granted(url.sign ?? "", { operation: "download", fileid: "a.jpg" }).kind).toBe("multi-use");
  });

  test("is wrong usage without the variable, and for a fileid without a URL", async () => {
    expect(await usageError("download", "a.jpg", ...NAMED)).toMatch(/whole URL/);
    vi.stubEnv("HUIYUAN_SECRET_KEY", undefined);
    expect(await usageError("delete", "a.jpg", ...NAMED)).toMatch(/HUIYUAN_SECRET_KEY/);
  });

  test("--help says why the SecretKey is no option", async () => {
    const { out } = await run(signCommand, ["download", "--help"]);
    expect(out).toMatch(/HUIYUAN_SECRET_KEY[\s\S]*process list/);
    expect(out).not.toMatch(/--secret-key/);
  });
});

test("sign with a faulty settings file throws its faults", async () => {
  const broken = join(folder, "broken.yaml");
  writeFileSync(broken, "projects: 3\n");
  const { error } = await run(signCommand, ["delete", "a.jpg", "--config", broken]);
  expect(error).toMatchObject({ code: "settings_invalid" });
});

test("sign needs no secret but the keys', and no page of errors", async () => {
  const elsewhere = join(folder, "elsewhere.yaml");
  const text = SETTINGS.replace("server: {", "server: { adminToken: env:HUIYUAN_NOT_SET_HERE,").replace(
    'host: "*" }',
    'host: "*", mirror: { origins: [{ type: site, url: "https://a.example", headers: { Cookie: file:nowhere } }] } }',
  );
  writeFileSync(elsewhere, text.replace("name: videos }", "name: videos, notFound: { file: ./nowhere.html } }"));
  const token = await printed("delete", "a.jpg", "--config", elsewhere, "--appid", "10001234");
  expect(granted(token, { fileid: "a.jpg" }).kind).toBe("one-time");

  writeFileSync(elsewhere, SETTINGS.replace("secretKey: one", "secretKey: env:HUIYUAN_NOT_SET_HERE"));
  const { error } = await run(signCommand, ["delete", "a.jpg", "--config", elsewhere]);
  expect(error).toMatchObject({ code: "settings_invalid" });
});
