// Whether two parts of settings are the same, secrets included. JSON.stringify() alone cannot tell: it hides them.
import { createHash } from "node:crypto";

/**
 * The same text for equal values, another one when anything in them differs, also a secret or the order of keys. A
 * SHA-256 in hex, so it may be a map's key and be logged.
 */
export function fingerprintOf(...parts: readonly unknown[]): string {
  return createHash("sha256").update(JSON.stringify(parts, withSecrets)).digest("hex");
}

function withSecrets(this: unknown, key: string, masked: unknown): unknown {
  const value = (this as Record<string, unknown>)[key];
  // A copy has not the toJSON() that hides secrets.
  return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : masked;
}
