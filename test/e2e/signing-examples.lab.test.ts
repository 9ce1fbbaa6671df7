// docs/examples/signing: each language computes the tokens of the test vectors, and tokens that this program accepts. A
// language is skipped if this machine lacks it; .ci/run installs all but Go and Java, which take over 100 MB.
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseTarget } from "../../src/serve/http/request/target.ts";
import { makeToken, tokenFromQuery } from "../../src/serve/sign/token.ts";
import fixture from "../fixtures/sign.json" with { type: "json" };
import { noisyJpeg } from "../helpers/images.ts";
import { install } from "../helpers/program.ts";
import { needs, type ServiceName } from "../helpers/services.ts";
import { APPID, KEYS, oneBucket } from "../helpers/settings.ts";

const run = promisify(execFile);
const FOLDER = fileURLToPath(new URL("../../docs/examples/signing/", import.meta.url));
/** The snippets always send `u=0`. */
const VECTORS = fixture.vectors.filter(({ u }) => u === "0");

interface Language {
  readonly name: string;
  readonly tools: readonly ServiceName[];
  /** Compiles the example once, into `built`. */
  readonly build?: (built: string) => readonly [string, ...string[]];
  readonly command: (built: string) => readonly [string, ...string[]];
}

const LANGUAGES: readonly Language[] = [
  { name: "shell", tools: ["bash", "openssl"], command: () => ["bash", "sign.sh"] },
  { name: "Python", tools: ["python3"], command: () => ["python3", "sign.py"] },
  { name: "PHP", tools: ["php"], command: () => ["php", "sign.php"] },
  {
    name: "C#",
    tools: ["mcs"],
    build: (built) => ["mcs", "Sign.cs", `-out:${join(built, "Sign.exe")}`],
    command: (built) => ["mono", join(built, "Sign.exe")],
  },
  {
    name: "Java",
    tools: ["javac"],
    build: (built) => ["javac", "-d", built, "Sign.java"],
    command: (built) => ["java", "-XX:TieredStopAtLevel=1", "-cp", built, "Sign"],
  },
  {
    name: "Go",
    tools: ["go"],
    build: (built) => ["go", "build", "-o", join(built, "sign-go"), "sign.go"],
    command: (built) => [join(built, "sign-go")],
  },
];

/** A fileid with characters that shells, forms, URLs and the token treat specially, and the longest fileid. */
const FILEIDS = ["/a//b+c %2F&?#=&f=d'\"`$(id)\\~!*()图😀.jpg", "x".repeat(128)];
const PLACE = {
  appid: "10001234",
  bucket: "photos",
  secretId: "AKIDTESTTESTTESTTESTTESTTESTTEST0001",
  // Longer than a block of SHA-1, which HMAC treats differently.
  secretKey: `${"0123456789".repeat(7)}&='"$ü`,
};

let built: string;
beforeAll(async () => {
  built = await mkdtemp(join(tmpdir(), "huiyuan-signing-"));
});
afterAll(() => rm(built, { recursive: true, force: true }));

test("the test vectors exist", () => expect(VECTORS).toHaveLength(4));

for (const { name, tools, build, command } of LANGUAGES) {
  describe(`${name} (needs ${tools.join(", ")})`, needs(...tools), () => {
    const call = async (place: typeof PLACE, time: { now: number; random: number }, args: readonly string[]) => {
      const [program, ...rest] = command(built);
      const env = {
        ...process.env,
        LC_ALL: "C.UTF-8",
        HUIYUAN_APPID: place.appid,
        HUIYUAN_BUCKET: place.bucket,
        HUIYUAN_SECRET_ID: place.secretId,
        HUIYUAN_SECRET_KEY: place.secretKey,
        HUIYUAN_DOWNLOADS: "http://photos-10001234.localhost:8080",
        SIGN_NOW: String(time.now),
        SIGN_RANDOM: String(time.random),
      };
      return (await run(program, [...rest, ...args], { cwd: FOLDER, env })).stdout.trimEnd();
    };

    beforeAll(async () => {
      const [program, ...rest] = build?.(built) ?? ["true"];
      await run(program, rest, {
        cwd: FOLDER,
        env: { ...process.env, GOCACHE: join(built, "cache"), GO111MODULE: "off" },
      });
    });

    test.each(VECTORS)("signs as $id says: $case", async (vector) => {
      const { t, r, e, f } = vector;
      const operation = e === 0 ? "copy" : "upload";
      const args = [operation, f, ...(e === 0 ? [] : [String(e - t)])];
      expect(await call(vector, { now: t, random: r }, args)).toBe(vector.sign);
    });

    test.each(FILEIDS)("signs for %j", async (fileid) => {
      const time = { now: 1_450_000_000, random: 4_294_967_295 };
      const fields = { ...PLACE, issuedAt: time.now, random: time.random, userid: "0", fileid };
      const token = (expires: number) => makeToken({ ...fields, expires }, PLACE.secretKey);
      expect(await call(PLACE, time, ["delete", fileid])).toBe(token(0));
      expect(await call(PLACE, time, ["upload", fileid])).toBe(token(time.now + 600));
      const url = await call(PLACE, time, ["download", fileid, "60"]);
      const target = parseTarget(url, []);
      expect(target.key).toBe(fileid);
      expect(tokenFromQuery(target.rawQuery).sign).toBe(token(time.now + 60));
    });
  });
}

test("the README's calls upload, show and delete an image", needs("bash", "openssl", "curl"), async () => {
  const installation = await install(oneBucket(undefined, { token: "required" }));
  const program = await installation.start();
  try {
    await writeFile(join(installation.folder, "a.jpg"), await noisyJpeg(64, 48));
    const readme = await readFile(`${FOLDER}README.md`, "utf8");
    const calls = [...readme.matchAll(/^ *```sh[^\n]*\n(.*?)^ *```$/gms)]
      .map((block) => block[1])
      .find((text) => text?.includes("curl"));
    const script = `set -e\n${calls}`
      .replaceAll("./sign.sh", `${FOLDER}sign.sh`)
      .replaceAll("http://localhost:8080", `http://127.0.0.1:${program.downloadPort}`)
      .replaceAll("curl", "echo; curl -s");
    const env = {
      ...process.env,
      HUIYUAN_APPID: APPID,
      HUIYUAN_BUCKET: "photos",
      HUIYUAN_SECRET_ID: KEYS[0].secretId,
      HUIYUAN_SECRET_KEY: KEYS[0].secretKey,
      HUIYUAN_DOWNLOADS: `http://127.0.0.1:${program.downloadPort}`,
    };
    const { stdout } = await run("bash", ["-c", script], { cwd: installation.folder, env });
    const answers = stdout.trim().split(/\n+/);
    expect(answers.map((line) => (line.startsWith("{") ? JSON.parse(line).code : line))).toEqual([
      0,
      "200 image/jpeg",
      0,
    ]);
  } finally {
    await program.stop();
    await installation.remove();
  }
});
