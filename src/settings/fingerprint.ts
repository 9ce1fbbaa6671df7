// Compares parts of the settings, secrets included. JSON.stringify() alone cannot, because it hides secrets.
import { createHash } from "node:crypto";

/**
 * Equal for equal values; differs if any value, secret or the order of keys differs. A SHA-256 in hex, which may be
 * logged.
 */
export function fingerprintOf(...parts: readonly unknown[]): string {
  return createHash("sha256").update(JSON.stringify(parts, withSecrets)).digest("hex");
}

function withSecrets(this: unknown, key: string, masked: unknown): unknown {
  const value = (this as Record<string, unknown>)[key];
  // The copy lacks the toJSON() that hides secrets.
  return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : masked;
}
