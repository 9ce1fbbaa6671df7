// Makes the key pairs of projects. It stores nothing.
import { randomInt } from "node:crypto";

/** `secretId` is public: `AKID` and 32 letters and digits. `secretKey`: 43 of them, which hold 256 random bits. */
export interface KeyPair {
  readonly secretId: string;
  readonly secretKey: string;
}

export function makeKeyPair(): KeyPair {
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
