// `huiyuan keys new`: a fresh key pair. Prints it and forgets it; no file is written.
import { randomBytes } from "node:crypto";
import { Command } from "commander";
import type { Terminal } from "./terminal.ts";

/** A key pair. `secretId` is public: `AKID` and 32 URL-safe characters; `secretKey`: 256 random bits, 43 such characters. */
interface KeyPair {
  readonly secretId: string;
  readonly secretKey: string;
}

/** The command. Wrong usage throws CommanderError. */
export function keysCommand(terminal: Terminal): Command {
  const keys = new Command("keys")
    .description("key pairs, which sign uploads and downloads")
    .configureOutput({ writeOut: (text) => terminal.out.write(text), writeErr: (text) => terminal.err.write(text) })
    .exitOverride();
  keys
    .command("new")
    .description("print a fresh key pair and the settings lines for it")
    .option("--json", "print one JSON object", false)
    .action(({ json }: { readonly json: boolean }) => {
      const pair = makeKeyPair();
      terminal.out.write(json ? `${JSON.stringify(pair)}\n` : describe(pair));
    });
  return keys;
}

function makeKeyPair(): KeyPair {
  return {
    secretId: `AKID${randomBytes(24).toString("base64url")}`,
    secretKey: randomBytes(32).toString("base64url"),
  };
}

function describe({ secretId, secretKey }: KeyPair): string {
  return `SecretID   ${secretId}
SecretKey  ${secretKey}

Shown once and kept nowhere. Under the project in huiyuan.yaml (two pairs at most; the server takes them up at once):

    keys:
      - secretId: "${secretId}"
        secretKey: "${secretKey}"   # or env:NAME or file:PATH, to keep it out of this file
`;
}
