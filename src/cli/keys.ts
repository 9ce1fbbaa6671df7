// `huiyuan keys new`: prints a new key pair. It writes no file.
import { randomInt } from "node:crypto";
import type { Command } from "commander";
import { newCommand, type Terminal } from "./terminal.ts";

/** `secretId` is public: `AKID` and 32 letters and digits. `secretKey`: 43 of them, which hold 256 random bits. */
interface KeyPair {
  readonly secretId: string;
  readonly secretKey: string;
}

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

function makeKeyPair(): KeyPair {
  return {
    secretId: `AKID${randomText(32)}`,
    secretKey: randomText(43),
  };
}

// Without `-` and `_`, so that a double click selects the whole text.
const CHARACTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

function randomText(length: number): string {
  return Array.from({ length }, () => CHARACTERS[randomInt(CHARACTERS.length)]).join("");
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
