// Detection of the programs that tests use: a test of a missing program is skipped, and its name is reported.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test, vi } from "vitest";
import { needs, programPath } from "../helpers/services.ts";

afterEach(() => vi.unstubAllEnvs());

function onMachine(env: { readonly PATH: string; readonly CI?: string }): void {
  vi.stubEnv("PATH", env.PATH);
  vi.stubEnv("CI", env.CI);
}

test("needs() skips the test of a missing program, and names how to install it", () => {
  onMachine({ PATH: "/nowhere" });
  const missing = { openssl: "apt-get install openssl", php: "apt-get install php-cli" };
  expect(needs("openssl", "php")).toEqual({ skip: true, meta: { missing } });
  expect(needs()).toEqual({});
});

test("needs() throws for a missing program with CI=true, except for optional ones", () => {
  onMachine({ PATH: "/nowhere", CI: "true" });
  expect(() => needs("openssl")).toThrow("openssl: it is not on this machine (apt-get install openssl)");
  expect(needs("go")).toMatchObject({ skip: true });
});

test("programPath() looks in PATH and in the sbin beside a bin of PATH, and nowhere else", () => {
  const folder = mkdtempSync(join(tmpdir(), "huiyuan-path-"));
  try {
    const [bin, sbin] = [join(folder, "bin"), join(folder, "sbin")];
    for (const path of [bin, sbin]) mkdirSync(path);
    const file = join(sbin, "nginx");
    writeFileSync(file, "", { mode: 0o755 });
    writeFileSync(join(bin, "curl"), "", { mode: 0o644 });
    onMachine({ PATH: bin });
    expect([programPath("nginx"), programPath("curl"), programPath("node")]).toEqual([file, undefined, undefined]);
    onMachine({ PATH: folder });
    expect(programPath("nginx")).toBeUndefined();
  } finally {
    rmSync(folder, { recursive: true });
  }
});
