// docs/guides/callbacks.md: the receiver's check in each language accepts notices of this program and nothing else. A
// language is skipped if this machine lacks it; .ci/run installs all but Java, which takes over 100 MB.
import { spawnSync } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { callbackBody } from "../../src/serve/sign/callback.ts";
import { needs, type ServiceName } from "../helpers/services.ts";
import { UPLOADED } from "../helpers/uploaded.ts";

const SECRET = 'the "secret" of 回源';
const now = () => Math.floor(Date.now() / 1_000);
const bodyAt = (timestamp: number) => callbackBody({ ...UPLOADED, timestamp, attempt: 2 }, SECRET);

let guide: string;
let folder: string;
beforeAll(async () => {
  guide = await readFile(new URL("../../docs/guides/callbacks.md", import.meta.url), "utf8");
  folder = await mkdtemp(join(tmpdir(), "huiyuan-snippets-"));
});
afterAll(() => rm(folder, { recursive: true }));

/** Returns the only code block of a language. */
function snippet(language: string): string {
  const blocks = [...guide.matchAll(new RegExp(`\`\`\`${language}\\n(.*?)\`\`\``, "gs"))];
  expect(blocks.length).toBe(1);
  return blocks[0]?.[1] ?? "";
}

interface Language {
  readonly name: string;
  readonly tools: readonly ServiceName[];
  readonly file: string;
  /** A program that reads the secret from its argument and the body from stdin, and prints the fileid or `refused`. */
  readonly program: (code: string) => string;
  readonly command: (file: string) => readonly [string, ...string[]];
}

const LANGUAGES: readonly Language[] = [
  {
    name: "python",
    tools: ["python3"],
    file: "check.py",
    program: (code) =>
      `${code}\nimport sys\nnotice = verified(sys.stdin.buffer.read(), sys.argv[1].encode())\nprint(notice["fileid"] if notice else "refused")\n`,
    command: (file) => ["python3", file],
  },
  {
    name: "php",
    tools: ["php"],
    file: "check.php",
    program: (code) =>
      `<?php ${code.split("$notice = verified(")[0]}\n$n = verified(file_get_contents('php://stdin'), $argv[1]); echo $n['fileid'] ?? 'refused', "\\n";`,
    command: (file) => ["php", file],
  },
  {
    name: "js",
    tools: [],
    file: "check.mjs",
    program: (code) =>
      `${code}\nimport { readFileSync } from "node:fs";\nconsole.log(verified(readFileSync(0, "latin1"), process.argv[2])?.fileid ?? "refused");`,
    command: (file) => ["node", file],
  },
  {
    name: "java",
    tools: ["javac"],
    file: "Check.java",
    program: (code) => `
      import java.nio.charset.StandardCharsets; import java.security.*; import java.util.HexFormat;
      import java.time.Instant; import java.util.regex.*;
      import javax.crypto.Mac; import javax.crypto.spec.SecretKeySpec;
      public class Check { ${code}
        public static void main(String[] args) throws Exception {
          String body = new String(System.in.readAllBytes(), StandardCharsets.ISO_8859_1);
          System.out.println(isVerified(body, args[0]) ? "${UPLOADED.fileid}" : "refused");
        } }`,
    command: (file) => ["java", "-XX:TieredStopAtLevel=1", "-Dfile.encoding=UTF-8", "-Dstdout.encoding=UTF-8", file],
  },
];

for (const { name, tools, file, program, command } of LANGUAGES) {
  describe(`${name} (needs ${tools.join(", ") || "node"})`, needs(...tools), () => {
    async function check(body: string, secret = SECRET): Promise<string> {
      const path = join(folder, file);
      await writeFile(path, program(snippet(name)));
      const [run, ...args] = command(path);
      const ended = spawnSync(run, [...args, secret], { input: body, encoding: "utf8", timeout: 60_000 });
      expect(`${ended.stderr}${ended.error ?? ""}`).toBe("");
      return ended.stdout.trim();
    }

    test("accepts a notice", async () => {
      expect(await check(bodyAt(now()))).toBe(UPLOADED.fileid);
    });
    test("refuses a notice that was altered, signed with another secret, or not signed", async () => {
      const body = bodyAt(now());
      expect(await check(body.replace("size=51200", "size=51201"))).toBe("refused");
      expect(await check(body, "another")).toBe("refused");
      expect(await check(body.slice(0, -1))).toBe("refused");
      expect(await check(`${body}&token=`)).toBe("refused");
      expect(await check(body.slice(0, body.lastIndexOf("&token=")))).toBe("refused");
    });
    test("refuses a notice older than 15 minutes", async () => {
      expect(await check(bodyAt(now() - 890))).toBe(UPLOADED.fileid);
      expect(await check(bodyAt(now() - 910))).toBe("refused");
    });
  });
}

test("the shell line computes the token of a body", needs("bash", "openssl"), async () => {
  const line = /By hand, for one body in a file:\s+`([^`]+)`/.exec(guide)?.[1] ?? "";
  const body = bodyAt(now());
  await writeFile(join(folder, "body"), body);
  const ended = spawnSync("bash", ["-c", line], {
    cwd: folder,
    env: { ...process.env, CALLBACK_SECRET: SECRET },
    encoding: "utf8",
    timeout: 60_000,
  });
  expect(ended.stdout).toContain(body.slice(-40));
});
