// `huiyuan completion`: real shells read the printed scripts.
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { loadedHuiyuan } from "../helpers/loaded-program.ts";
import { needs } from "../helpers/services.ts";

const SHELLS = ["bash", "zsh", "fish"] as const;

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "huiyuan-completion-"));
  await mkdir(join(folder, "backups"));
  await writeFile(join(folder, "huiyuan.yaml"), "");
  await writeFile(join(folder, "two words.yaml"), "");
  for (const shell of SHELLS) {
    const { code, out, err } = await loadedHuiyuan(["completion", shell]);
    expect([code, err]).toEqual([0, ""]);
    await writeFile(join(folder, `script.${shell}`), out);
  }
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function shell(program: string, ...args: readonly string[]): Promise<string> {
  return (await promisify(execFile)(program, [...args], { cwd: folder, timeout: 60_000 })).stdout;
}

/** The words of a command line, the last one incomplete, and all that may stand there. */
const CASES: readonly (readonly [words: readonly string[], offered: readonly string[]])[] = [
  [["s"], ["serve", "sign", "stat"]],
  [
    ["sign", ""],
    ["copy", "delete", "download", "upload"],
  ],
  [
    ["sign", "d"],
    ["delete", "download"],
  ],
  [["serve", "--log"], ["--log-level"]],
  [
    ["serve", "--log-level", ""],
    ["debug", "error", "info", "warn"],
  ],
  [["serve", "--config", "h"], ["huiyuan.yaml"]],
  [["serve", "-c", "t"], ["two words.yaml"]],
  [["callbacks", "list", "--state", "g"], ["given-up"]],
  [["backup", "b"], ["backups"]],
  [["backup", "backups", "--k"], ["--keep"]],
  [["warm", "h"], ["huiyuan.yaml"]],
  [["ls", "--bucket", "x"], []],
  [["log", "--operation", "delete", "--cs"], ["--csv"]],
  [["help", "un"], ["undelete"]],
  [
    ["completion", ""],
    ["bash", "fish", "zsh"],
  ],
  [["try", "x"], []],
];

/** As readline does after `complete -o default`: it completes file names if the function offers nothing. */
const BASH = `. ./script.bash
[[ $(complete -p huiyuan) == "complete -o default -F _huiyuan huiyuan" ]] || exit 1
COMP_WORDS=(huiyuan "$@"); COMP_CWORD=$#
_huiyuan
last="\${!#}"; IFS=$'\n'
(( \${#COMPREPLY[@]} )) || COMPREPLY=($(compgen -f -- "\${last#=}"))
printf '%s\\n' "\${COMPREPLY[@]}"`;

test.each(CASES)("bash completes %j", async (words, offered) => {
  const lines = (await shell("bash", "-c", BASH, "bash", ...words)).split("\n").filter((line) => line !== "");
  expect(lines.toSorted()).toEqual(offered);
});

test("bash completes the value of --config=FILE, which it splits", async () => {
  expect(await shell("bash", "-c", BASH, "bash", "serve", "--config", "=", "h")).toBe("huiyuan.yaml\n");
  expect(await shell("bash", "-c", BASH, "bash", "serve", "--config", "=")).toContain("huiyuan.yaml\n");
});

test.each(CASES)("fish completes %j", needs("fish"), async (words, offered) => {
  const line = ["huiyuan", ...words].join(" ");
  const out = await shell("fish", "--no-config", "-c", `source script.fish; complete -C '${line}'`);
  const lines = out.split("\n").map((each) => each.split("\t")[0]?.replace(/\/$/, "") ?? "");
  expect(lines.filter((each) => each !== "").toSorted()).toEqual(offered);
});

/** An interactive zsh gets keys, and a function in place of the program prints the completed line. */
const ZSH = `zmodload zsh/zpty
zpty inner zsh -f -i
zpty -w inner 'autoload -U compinit; compinit -u -D; . ./script.zsh; bindkey "^I" complete-word
  huiyuan() { print -r -- "<$*>" }; print REA""DY'
zpty -r -m inner out '*READY*'
zpty -w inner "huiyuan $1"$'\\t'
zpty -r -m inner out '*<*>*'
print -r -- "\${\${out##*<}%%>*}"`;

test.each([
  ["comple", "completion"],
  ["sign up", "sign upload"],
  ["serve --lo", "serve --log-level"],
  ["serve --config hui", "serve --config huiyuan.yaml"],
  ["serve --log-level wa", "serve --log-level warn"],
  ["callbacks list --state=giv", "callbacks list --state=given-up"],
  ["backup ba", "backup backups"],
  ["help un", "help undelete"],
])("zsh completes %s", needs("zsh"), async (typed, completed) => {
  expect((await shell("zsh", "-f", "-c", ZSH, "zsh", typed)).trim()).toBe(completed);
});

test("completion for another shell is wrong usage", async () => {
  const { code, out, err } = await loadedHuiyuan(["completion", "tcsh"]);
  expect([code, out, err]).toEqual([2, "", expect.stringContaining("bash, zsh, fish")]);
});
