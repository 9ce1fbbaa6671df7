// `huiyuan completion`: prints a completion script for a shell, made from the tree of commands. The script is static:
// the shell starts no program when a user presses Tab. Where it knows no word, the shell completes file names.
import { Argument, type Command, type Option } from "commander";
import { newCommand, type Terminal } from "./terminal.ts";

interface Node {
  /** Such as `huiyuan sign download`. */
  readonly path: string;
  readonly inner: readonly Command[];
  readonly options: readonly Option[];
  /** The names of its commands, or the choices of its argument. */
  readonly words: readonly string[];
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
      const script = SCRIPTS[shell](nodesOf(self.parent ?? self, "huiyuan"));
      terminal.out.write(`# Made by: huiyuan completion ${shell}\n${script}`);
    });
}

/** The command and all below it. `siblings`: the words of commander's own `help`, which has no choices. */
function nodesOf(command: Command, path: string, siblings: readonly string[] = []): readonly Node[] {
  const help = command.createHelp();
  const inner = help.visibleCommands(command);
  const names = inner.map((each) => each.name());
  const others = command.name() === "help" ? siblings : (command.registeredArguments[0]?.argChoices ?? []);
  const words = names.length > 0 ? names : others;
  const below = inner.flatMap((each) => nodesOf(each, `${path} ${each.name()}`, names));
  return [{ path, inner, options: help.visibleOptions(command), words }, ...below];
}

const namesOf = ({ short, long }: Option) => [short, long].filter((name) => name !== undefined);
const takesValue = ({ required, optional }: Option) => required || optional;
const pathsBelow = ([, ...nodes]: readonly Node[]) => nodes.map(({ path }) => `'${path}'`);

function bash(nodes: readonly Node[]): string {
  const values = nodes.flatMap(({ path, options }) =>
    options.filter(takesValue).map((option) => {
      const places = namesOf(option).map((name) => `'${path} ${name}'`);
      return `    ${places.join("|")}) words='${(option.argChoices ?? []).join(" ")}' ;;`;
    }),
  );
  const others = nodes.flatMap(({ path, options, words }) => [
    `      '${path}:-'*) words='${options.flatMap(namesOf).join(" ")}' ;;`,
    `      '${path}:'*) words='${words.join(" ")}' ;;`,
  ]);
  return `_huiyuan() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} at=huiyuan before= word words=
  # bash splits --config=FILE into three words, zsh leaves it whole.
  if [[ $cur == = ]]; then cur=; elif [[ $prev == = ]]; then prev=\${COMP_WORDS[COMP_CWORD-2]}
  elif [[ $cur == --*=* ]]; then prev=\${cur%%=*}; before=$prev=; cur=\${cur#*=}; fi
  for word in "\${COMP_WORDS[@]:1:$((COMP_CWORD-1))}"; do
    case "$at $word" in ${pathsBelow(nodes).join("|")}) at="$at $word" ;; esac
  done
  case "$at $prev" in
${values.join("\n")}
    *) case "$at:$cur" in
${others.join("\n")}
    esac ;;
  esac
  COMPREPLY=($(compgen -P "$before" -W "$words" -- "$cur"))
}
complete -o default -F _huiyuan huiyuan
`;
}

const zsh = (nodes: readonly Node[]) => `autoload -U +X bashcompinit && bashcompinit\n${bash(nodes)}`;

function fish(nodes: readonly Node[]): string {
  const quoted = (text: string) => `'${text.replace(/['\\]/g, "\\$&")}'`;
  const offer = (words: readonly string[]) => (words.length === 0 ? "" : ` -f -a ${quoted(words.join(" "))}`);
  const rules = nodes.flatMap(({ path, inner, options, words }) => [
    ...inner.map((each) => `${path}' -f -a ${each.name()} -d ${quoted(each.description())}`),
    ...(inner.length > 0 || words.length === 0 ? [] : [`${path}'${offer(words)}`]),
    ...options.map((option) => {
      const names = namesOf(option).map((name) => name.replace(/^-(-?)/, (_, isLong) => (isLong ? " -l " : " -s ")));
      const value = takesValue(option) ? ` -r${offer(option.argChoices ?? [])}` : "";
      return `${path}'${names.join("")}${value} -d ${quoted(option.description)}`;
    }),
  ]);
  return `function __huiyuan_at
  set -l at huiyuan
  for word in (commandline -opc)[2..]
    contains -- "$at $word" ${pathsBelow(nodes).join(" ")}
    and set at "$at $word"
  end
  test "$at" = "$argv"
end
${rules.map((rule) => `complete -c huiyuan -n '__huiyuan_at ${rule}`).join("\n")}
`;
}

const SCRIPTS = { bash, zsh, fish };
