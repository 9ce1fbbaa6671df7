// Checks if the origin can be reached, how fast it connects, and its TLS certificate.
import type { Probe, ProbedConnection } from "../../origin/kinds/probe.ts";
import { type Finding, formatMs, type Notes, originFailure } from "./finding.ts";
import { meaningOf } from "./meanings.ts";

const SOON_MS = 21 * 86_400_000;
const SLOW_MS = 1_000;

/** False if the origin cannot be reached, so further checks make no sense. */
export async function checkConnection(probe: Probe, notes: Notes, now: number): Promise<boolean> {
  notes.doing("connecting");
  try {
    const connection = await probe.connect();
    notes.say(assessConnection(connection));
    notes.say(assessTls(connection.tls, now));
    return true;
  } catch (error) {
    const { code, message } = originFailure(error, notes);
    const means = meaningOf(code, 0);
    notes.say({ id: "connection", severity: "problem", found: `${message} (${code})`, ...(means && { means }) });
    return false;
  }
}

function assessConnection({ address, milliseconds }: ProbedConnection): Finding {
  const found = `connects to ${address} in ${formatMs(milliseconds)}`;
  if (milliseconds < SLOW_MS) return { id: "connection", severity: "good", found };
  const means = "Every new connection takes this time, and timeouts.connect is 3s.";
  return { id: "connection", severity: "warning", found, means };
}

function assessTls(tls: ProbedConnection["tls"], now: number): Finding {
  if (tls === undefined) {
    const means = "Others on the network path can read and change images. Use https if the origin supports it.";
    return { id: "tls", severity: "note", found: "plain http, no TLS", means };
  }
  const until = Number.isNaN(tls.validTo) ? "an unknown day" : new Date(tls.validTo).toISOString().slice(0, 10);
  const found = `${tls.protocol}, certificate by ${tls.issuer}, valid until ${until}`;
  if (tls.validTo - now > SOON_MS) return { id: "tls", severity: "good", found };
  const means = "After it has expired, every fetch from this origin fails.";
  return { id: "tls", severity: "warning", found, means };
}
