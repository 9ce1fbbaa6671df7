// `huiyuan completion`: prints a completion script for a shell, made from the tree of commands. The script is static:
// the shell starts no program when a user presses Tab.
import { Argument, type Command, type Option } from "commander";
import { newCommand, type Terminal } from "./terminal.ts";

/** The values of an argument or option: files, folders, or some words; no words if they cannot be known. */
type Value = "files" | "folders" | readonly string[];

interface Flag {
  /** Such as `-c` and `--config`. */
  readonly names: readonly string[];
  readonly about: string;
  /** Undefined: the option takes no value. */
  readonly value: Value | undefined;
}

interface Node {
  /** Names below the program: `sign`, `download`; empty for the program. */
  readonly path: readonly string[];
  readonly about: string;
  readonly flags: readonly Flag[];
  readonly inner: readonly Node[];
  /** The values of the first argument, which further ones repeat. */
  readonly value: Value;
}

const HELP = `Install it once. A new shell then completes commands, options and files:
  bash  huiyuan completion bash > ~/.huiyuan.bash
        echo '. ~/.huiyuan.bash' >> ~/.bashrc
  zsh   huiyuan completion zsh > ~/.huiyuan.zsh
        echo 'autoload -U compinit; compinit; . ~/.huiyuan.zsh' >> ~/.zshrc
  fish  huiyuan completion fish > ~/.config/fish/completions/huiyuan.fish
Repeat the first command after an upgrade.

Example:
  huiyuan completion bash > ~/.huiyuan.bash`;

export function completionCommand(terminal: Terminal): Command {
  return newCommand(terminal, "completion", "print a completion script for bash, zsh or fish", HELP)
    .addArgument(new Argument("<shell>", "shell that reads the script").choices(Object.keys(SCRIPTS)))
    .action((shell: keyof typeof SCRIPTS, _flags: object, self: Command) => {
      const root = nodeOf(self.parent ?? self, []);
      terminal.out.write(`# Made by: huiyuan completion ${shell}\n${SCRIPTS[shell]([root, ...below(root)])}`);
    });
}

function nodeOf(command: Command, path: readonly string[]): Node {
  const help = command.createHelp();
  const inner = help.visibleCommands(command).map((each) => {
    const node = nodeOf(each, [...path, each.name()]);
    // commander's own command, without choices.
    return each.name() === "help" ? { ...node, value: command.commands.map((other) => other.name()) } : node;
  });
  const [argument] = command.registeredArguments;
  const value = valuesOf(argument?.name(), argument?.argChoices);
  return { path, about: command.description(), flags: help.visibleOptions(command).map(flagOf), inner, value };
}

function flagOf({ short, long, description, flags, argChoices }: Option): Flag {
  const names = [short, long].filter((name) => name !== undefined);
  const [, name] = /[<[](.*)[\]>]/.exec(flags) ?? [];
  return { names, about: description, value: name === undefined ? undefined : valuesOf(name, argChoices) };
}

function valuesOf(name: string | undefined, choices: readonly string[] = []): Value {
  return name === "file" ? "files" : name === "dir" ? "folders" : choices;
}

const below = (node: Node): readonly Node[] => node.inner.flatMap((inner) => [inner, ...below(inner)]);
const nameOf = ({ path }: Node) => path.at(-1) ?? "";
const lines = (texts: readonly string[]) => texts.join("\n");

const shellQuoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;

type Script = (nodes: readonly Node[]) => string;

const bash: Script = (nodes) => {
  const place = (...path: readonly string[]) => shellQuoted(path.join(" "));
  const offer = (value: Value) => `_huiyuan_${typeof value === "string" ? value : `words ${place(...value)}`}`;
  const values = nodes.flatMap(({ path, flags }) =>
    flags.flatMap(({ names, value }) => {
      const places = names.map((name) => place(...path, name)).join("|");
      return value === undefined ? [] : [`    ${places}) ${offer(value)}; return ;;`];
    }),
  );
  const rest = nodes.map(({ path, flags, inner, value }) => {
    const options = offer(flags.flatMap(({ names }) => names));
    const others = offer(inner.length === 0 ? value : inner.map(nameOf));
    return `    ${place(...path)}) if [[ $cur == -* ]]; then ${options}; else ${others}; fi ;;`;
  });
  const paths = nodes.slice(1).map(({ path }) => place(...path));
  return `_huiyuan_words() { local IFS=$' \\n'; COMPREPLY=($(compgen -W "$1" -- "$cur")); }
_huiyuan_files() { compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$cur")); }
_huiyuan_folders() { compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -d -- "$cur")); }
_huiyuan() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} at= word IFS=$'\\n'
  # bash splits --config=FILE into three words.
  if [[ $cur == = ]]; then cur=; elif [[ $prev == = ]]; then prev=\${COMP_WORDS[COMP_CWORD-2]}; fi
  COMPREPLY=()
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "\${at:+$at }$word" in ${paths.join("|")}) at="\${at:+$at }$word" ;; esac
  done
  case "\${at:+$at }$prev" in
${lines(values)}
  esac
  case $at in
${lines(rest)}
  esac
}
complete -F _huiyuan huiyuan
`;
};

const zsh: Script = (nodes) => {
  const offer = (value: Value) => {
    if (typeof value === "string") return value === "files" ? "_files" : "_files -/";
    return value.length === 0 ? " " : `(${value.join(" ")})`;
  };
  const specs = ({ names, about, value }: Flag) =>
    names.map((name) => {
      const what = `${value !== undefined && name.startsWith("--") ? "=" : ""}[${about.replace(/[[\]\\]/g, "\\$&")}]`;
      return shellQuoted(`(${names.join(" ")})${name}${what}${value === undefined ? "" : `: :${offer(value)}`}`);
    });
  const functionOf = ({ path, flags, inner, value }: Node) => {
    const name = ["_huiyuan", ...path].join("_");
    const options = flags.flatMap(specs).join(" \\\n    ");
    // An argument of which nothing can be offered would keep zsh from completing options.
    const rest = value.length === 0 ? "" : ` ${shellQuoted(`*: :${offer(value)}`)}`;
    if (inner.length === 0) return `${name}() {\n  _arguments ${options}${rest}\n}`;
    return `${name}() {
  local curcontext=$curcontext line state
  local -A opt_args
  local -a commands=(${inner.map((node) => shellQuoted(`${nameOf(node)}:${node.about}`)).join("\n    ")})
  _arguments -C ${options} '(-)1: :->command' '(-)*:: :->rest'
  if [[ $state == command ]]; then _describe command commands
  elif (( $+functions[${name}_$line[1]] )); then ${name}_$line[1]; fi
}`;
  };
  return `${lines(nodes.map(functionOf))}\ncompdef _huiyuan huiyuan\n`;
};

const fish: Script = (nodes) => {
  const quoted = (text: string) => `'${text.replace(/['\\]/g, "\\$&")}'`;
  const offer = (value: Value) => {
    const words = value === "folders" ? "(__fish_complete_directories)" : value === "files" ? "" : value.join(" ");
    return `${value === "files" ? " -F" : ""}${words === "" ? "" : ` -a ${quoted(words)}`}`;
  };
  const rulesOf = ({ path, flags, inner, value }: Node) =>
    [
      ...inner.map((each) => ` -a ${nameOf(each)} -d ${quoted(each.about)}`),
      ...(inner.length > 0 ? [] : [offer(value)]),
      ...flags.map(({ names, about, value: wanted }) => {
        const flag = names.map((name) => name.replace(/^-(-?)/, (_, isLong) => (isLong ? " -l " : " -s "))).join("");
        return `${flag}${wanted === undefined ? "" : `${wanted === "files" ? " -r" : " -x"}${offer(wanted)}`} -d ${quoted(about)}`;
      }),
    ].map((rule) => `complete -c huiyuan -n ${quoted(`__huiyuan_at "${path.join(" ")}"`)}${rule}`);
  return `function __huiyuan_at
  set -l at
  for word in (commandline -opc)[2..]
    contains -- (string trim "$at $word") ${nodes
      .slice(1)
      .map(({ path }) => quoted(path.join(" ")))
      .join(" ")}
    and set at (string trim "$at $word")
  end
  test "$at" = "$argv"
end
complete -c huiyuan -f
${lines(nodes.flatMap(rulesOf))}
`;
};

const SCRIPTS = { bash, zsh, fish };
