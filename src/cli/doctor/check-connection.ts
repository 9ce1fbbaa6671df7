// Whether the origin can be reached, how fast, and what its TLS is like.
import type { Probe, ProbedConnection } from "../../origin/kinds/probe.ts";
import { type Finding, type Notes, originFailure, span } from "./finding.ts";
import { meaningOf } from "./meanings.ts";

const SOON_MS = 21 * 86_400_000;
const SLOW_MS = 1_000;

/** False: it cannot be reached, and there is nothing more to look at. */
export async function checkConnection(probe: Probe, notes: Notes, now: number): Promise<boolean> {
  notes.doing("connecting");
  try {
    const connection = await probe.connect();
    notes.say(judgeConnection(connection));
    notes.say(judgeTls(connection.tls, now));
    return true;
  } catch (error) {
    const { code, message } = originFailure(error, notes);
    const means = meaningOf(code, 0);
    notes.say({ id: "connection", severity: "problem", found: `${message} (${code})`, ...(means && { means }) });
    return false;
  }
}

function judgeConnection({ address, milliseconds }: ProbedConnection): Finding {
  const found = `connects to ${address} in ${span(milliseconds)}`;
  if (milliseconds < SLOW_MS) return { id: "connection", severity: "good", found };
  const means = "Every new connection costs that, and timeouts.connect is 3s.";
  return { id: "connection", severity: "warning", found, means };
}

function judgeTls(tls: ProbedConnection["tls"], now: number): Finding {
  if (tls === undefined) {
    const means = "Whoever is on the way can read and change images. https is better where the origin has it.";
    return { id: "tls", severity: "note", found: "plain http, no TLS", means };
  }
  const until = Number.isNaN(tls.validTo) ? "an unknown day" : new Date(tls.validTo).toISOString().slice(0, 10);
  const found = `${tls.protocol}, certificate by ${tls.issuer}, valid until ${until}`;
  if (tls.validTo - now > SOON_MS) return { id: "tls", severity: "good", found };
  const means = "When it has expired no image comes from this origin any more.";
  return { id: "tls", severity: "warning", found, means };
}
