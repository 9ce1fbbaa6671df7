// Writes one log line for each REST API call unless `accessLog` is `off`; under `misses` too, because no call is a hit.
// A line contains neither signature nor content.
import type { Log } from "../../core/log.ts";
import { redactTarget } from "../../sign/redact.ts";
import { type AccessLogRules, clientAddress, withoutToken } from "../access-log.ts";
import type { AnsweredCall } from "./rest.ts";

export function createCallLog(log: Log): (call: AnsweredCall, rules: AccessLogRules) => void {
  return ({ request, requestId, name, bucketId, fileid, bytes, code, milliseconds }, { accessLog, trustedProxies }) => {
    if (accessLog === "off") return;
    const { headers, method, url = "" } = request;
    log.info(
      {
        requestId,
        client: clientAddress(request.socket.remoteAddress ?? "", headers["x-forwarded-for"], trustedProxies),
        method,
        url: withoutToken(url),
        operation: name,
        bucket: bucketId,
        ...(fileid === undefined ? {} : { fileid: redactTarget(fileid) }),
        ...(bytes === 0 ? {} : { bytes }),
        code: code ?? "client_gone",
        milliseconds: Math.round(milliseconds * 10) / 10,
      },
      "api call",
    );
  };
}
