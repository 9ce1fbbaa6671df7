// Maps errors of undici and node to codes, for an exchange that fails before its response head is complete. Failures to
// connect never get here; connect.ts maps them itself.
import type { ErrorCode } from "../../core/errors.ts";
import type { Connection } from "../dial/desync.ts";

const CODES: Readonly<Record<string, ErrorCode>> = {
  UND_ERR_HEADERS_OVERFLOW: "origin_head_invalid",
  // Two different lengths: undici compares them before it rejects the head.
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: "origin_head_invalid",
  // Statuses below 100, and bytes after a bare 101: undici asserts that no origin sends them.
  ERR_ASSERTION: "origin_head_invalid",
  UND_ERR_CLOSED: "draining",
  UND_ERR_DESTROYED: "draining",
  UND_ERR_SOCKET: "origin_reset",
  ECONNRESET: "origin_reset",
  ECONNABORTED: "origin_reset",
  EPIPE: "origin_reset",
  ETIMEDOUT: "origin_timeout",
};

/**
 * Returns `internal` for unknown errors. `connection`: the one that the head was awaited on; it learns of bytes that
 * are not a response.
 */
export function headFailureCode(cause: Error, connection?: Connection): ErrorCode {
  const code = "code" in cause ? String(cause.code) : "";
  // The error has no code in undici 7.
  if (cause.name === "HTTPParserError") {
    // llhttp's message for bytes that are not a head.
    if (connection?.isReused !== true || !cause.message.includes("Expected HTTP/")) return "origin_head_invalid";
    // Most likely bytes left behind by the previous response; another connection helps, as after a reset.
    connection.invalidHead();
    return "origin_reset";
  }
  // An invalid head (100, 101) has the same code as a close by the peer; only the text differs.
  if (code === "UND_ERR_SOCKET" && /^bad (response|upgrade)$/.test(cause.message)) return "origin_head_invalid";
  if (code.startsWith("ERR_SSL_")) return "origin_tls"; // in TLS 1.3 the server may refuse us after its handshake
  return CODES[code] ?? "internal";
}
