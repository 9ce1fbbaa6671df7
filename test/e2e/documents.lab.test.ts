// The commands of the documentation, as written: all `run` blocks of a page in order, in an empty folder.
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test, vi } from "vitest";
import { get } from "../helpers/get.ts";
import { blocksIn, blocksOf, PAGES } from "../helpers/page-blocks.ts";
import { programsOf, runPage } from "../helpers/page-run.ts";
import { eventually } from "../helpers/program.ts";
import { needs } from "../helpers/services.ts";

const TIMEOUT_MS = 300_000;
/** test/unit/docs-chinese.test.ts shows that their code is that of the English pages. */
const CHINESE = /^(?:README\.zh-CN\.md$|docs\/zh\/)/;

for (const page of PAGES.filter((page) => !CHINESE.test(page))) {
  const blocks = blocksOf(page);
  if (blocks.every(({ run }) => run === undefined)) continue;
  // Concurrent, because the pages mostly wait.
  test.concurrent(
    `the commands of ${page} run as written`,
    { ...needs(...programsOf(blocks)), timeout: TIMEOUT_MS },
    () => runPage(blocks),
  );
}

describe("runPage()", needs("bash"), () => {
  const blocks = (...parts: readonly (readonly [info: string, text: string])[]) =>
    blocksIn("p.md", parts.map(([info, text]) => `\`\`\`${info}\n${text}\n\`\`\``).join("\n"));

  test("keeps variables, writes files before the blocks after them, and replaces ports everywhere", async () => {
    const settings = "projects: []\nserver: { port: 8080 } # 8080";
    await runPage(
      blocks(
        ["yaml file=conf/huiyuan.yaml", settings],
        ["sh run", "port=8080; cd conf"],
        [
          "sh run",
          'test "$port" != 80""80; grep "port: $port" huiyuan.yaml; grep "# $port" huiyuan.yaml; huiyuan --version',
        ],
        ["sh run", 'grep "adminPort: 8081" huiyuan.yaml'],
        ["sh run fails", "false; true"],
        ["sh run", 'test "$port" = 8080'],
      ),
    );
  });

  test.each([
    ["run", "echo before; false; echo after", 1],
    ["run", "exit 3", 3],
    ["run fails", "true", 0],
    ["run", "huiyuan check", 1],
  ])("rejects with the place and the output: %s, %s", async (mark, text, code) => {
    await expect(runPage(blocks(["sh run", "echo said"], [`sh ${mark}`, text]))).rejects.toThrow(
      RegExp(`^p\\.md:4: exit code ${code}\\n.*said`, "s"),
    );
  });

  test("rejects when a server ends before it is ready", async () => {
    const page = blocks(["sh run background", "echo no settings; huiyuan serve"]);
    await expect(runPage(page)).rejects.toThrow(/^the server ended\n.*no settings/s);
  });

  test.skipIf(existsSync("/usr/sbin/bash"))("rejects if the shell does not start", async () => {
    vi.stubEnv("PATH", "/nowhere");
    await expect(runPage(blocks(["sh run", "true"])).finally(() => vi.unstubAllEnvs())).rejects.toThrow(
      /^p\.md:1: .*spawn bash ENOENT/s,
    );
  });

  test.skipIf(!existsSync("/proc"))("ends servers that left its process group", needs("python3"), async () => {
    const folder = await mkdtemp(join(tmpdir(), "huiyuan-pages-"));
    const daemon =
      'import os; os.setsid(); os.execvp("python3", ["python3", "-m", "http.server", "8000", "--bind", "127.0.0.1"])';
    const note = join(folder, "port");
    try {
      await runPage(blocks(["sh run background", `python3 -c '${daemon}'`], ["sh run", `echo 8000 >${note}`]));
      const port = Number(await readFile(note, "utf8"));
      const isClosed = () =>
        get({ port, path: "/" }).then(
          () => false,
          (error: Error) => error.message.includes("ECONNREFUSED"),
        );
      await eventually(isClosed, "the server has ended");
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
