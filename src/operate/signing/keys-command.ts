// `huiyuan keys new`: prints a new key pair. It writes no file.
import type { Command } from "commander";
import { type KeyPair, makeKeyPair } from "../../settings/key-pair.ts";
import { newCommand, type Terminal } from "../cli/terminal.ts";

const HELP = `Example:
  huiyuan keys new`;
const NEW_HELP = `The pair is stored nowhere. Put it into the settings file.

Examples:
  huiyuan keys new
  huiyuan keys new --json > pair.json`;

/** Throws CommanderError for wrong usage. */
export function keysCommand(terminal: Terminal): Command {
  const create = newCommand(terminal, "new", "print a new key pair and its settings", NEW_HELP)
    .option("--json", "print one JSON object", false)
    .action(({ json }: { readonly json: boolean }) => {
      const pair = makeKeyPair();
      terminal.out.write(json ? `${JSON.stringify(pair)}\n` : describe(pair));
    });
  return newCommand(terminal, "keys", "make key pairs, which sign uploads and downloads", HELP).addCommand(create);
}

function describe({ secretId, secretKey }: KeyPair): string {
  return `SecretID   ${secretId}
SecretKey  ${secretKey}

Shown once and stored nowhere. Add it to the project in huiyuan.yaml (at most two pairs; a running server applies them):

    keys:
      - secretId: "${secretId}"
        secretKey: "${secretKey}"   # or env:NAME or file:PATH, to keep it out of this file
`;
}
