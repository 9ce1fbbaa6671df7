// Checks the answer to an image that does not exist. The mirror treats only 404 and 410 as absence.
import { randomBytes } from "node:crypto";
import { toKey } from "../../core/object.ts";
import type { Probe, ProbeReply } from "../../origin/kinds/probe.ts";
import { type Finding, type Notes, originFailure } from "./finding.ts";

export async function checkMissing(probe: Probe, notes: Notes): Promise<void> {
  const name = `huiyuan-doctor-${randomBytes(6).toString("hex")}.jpg`;
  notes.doing(`GET /${name}, which does not exist`);
  try {
    notes.say(assessMissing(await probe.ask({ method: "GET", target: probe.target(toKey(name), "") })));
  } catch (error) {
    const { code } = originFailure(error, notes);
    const means = "Clients that request a missing image get 424 instead of 404.";
    notes.say({ id: "missing", severity: "warning", found: `a missing image is not answered (${code})`, means });
  }
}

function assessMissing({ status, verdict, hops }: ProbeReply): Finding {
  const id = "missing";
  const through = hops.length > 1 ? ` after a redirect to ${hops.at(-1)?.url}` : "";
  if (verdict === "absent") return { id, severity: "good", found: `a missing image is ${status}${through}` };
  if (verdict === "whole" || verdict === "suspect") {
    return {
      id,
      severity: "problem",
      found: `a missing image is answered with ${status} and a picture${through}`,
      means:
        "That picture would be stored under every invented name, and new images would never appear. The origin must answer 404; `fallbackKey` serves a picture of your own with it.",
    };
  }
  if (status === 200) {
    return {
      id,
      severity: "problem",
      found: `a missing image is answered with 200 and a body that is not an image${through}`,
      means:
        "Such pages are never stored, but clients get 424 instead of 404, and each request goes to the origin. The origin should answer 404.",
    };
  }
  const isGuarded = status === 403;
  return {
    id,
    severity: "warning",
    found: `a missing image is ${status} (${verdict})${through}`,
    means: isGuarded
      ? "Clients get 424 instead of 404. Object stores answer 403 if the key may read but not list: allow it to list the bucket."
      : "Clients get 424 instead of 404, and each request goes to the origin. The origin should answer 404.",
  };
}
