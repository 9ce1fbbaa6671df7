// What it means when an exchange fails before its response head is whole: undici's and node's errors by our codes.
// Failures to connect never come here; connect.ts names them itself.
import type { ErrorCode } from "../../core/errors.ts";
import type { Connection } from "../dial/desync.ts";

const CODES: Readonly<Record<string, ErrorCode>> = {
  UND_ERR_HEADERS_OVERFLOW: "origin_head_invalid",
  // Two lengths that differ: undici compares them before it says that the head is wrong.
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: "origin_head_invalid",
  // Statuses below 100, and more after a bare 101: undici asserts that no origin sends them.
  ERR_ASSERTION: "origin_head_invalid",
  UND_ERR_CLOSED: "draining",
  UND_ERR_DESTROYED: "draining",
  UND_ERR_SOCKET: "origin_reset",
  ECONNRESET: "origin_reset",
  ECONNABORTED: "origin_reset",
  EPIPE: "origin_reset",
  ETIMEDOUT: "origin_timeout",
};

/** `internal` for what nobody has named. `connection`: where the head was waited for; told of what answers nothing. */
export function headFailureCode(cause: Error, connection?: Connection): ErrorCode {
  const code = "code" in cause ? String(cause.code) : "";
  // Its code is undefined in undici 7.
  if (cause.name === "HTTPParserError") {
    // llhttp's words for bytes that are no head at all.
    if (connection?.isReused !== true || !cause.message.includes("Expected HTTP/")) return "origin_head_invalid";
    // Most likely what the answer before has left behind: another connection mends it, as after a reset.
    connection.invalidHead();
    return "origin_reset";
  }
  // A senseless head (100, 101) has the same code as a close by the peer; only the text tells them apart.
  if (code === "UND_ERR_SOCKET" && /^bad (response|upgrade)$/.test(cause.message)) return "origin_head_invalid";
  if (code.startsWith("ERR_SSL_")) return "origin_tls"; // TLS 1.3 may refuse us after its handshake
  return CODES[code] ?? "internal";
}
