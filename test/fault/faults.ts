// The table of faults: every group in the order of docs/internals/faults.md.
import type { FaultGroup } from "./fault.ts";
import type { LabOptions } from "./lab.ts";
import { bodies } from "./rows/bodies.ts";
import { clients } from "./rows/clients.ts";
import { GUARD_NAMES, guard } from "./rows/guard.ts";
import { heads, NO_HEAD_DOMAINS } from "./rows/heads.ts";
import { keys } from "./rows/keys.ts";
import { NETWORK_NAMES, NETWORK_PROXIES, network } from "./rows/network.ts";
import { requests } from "./rows/requests.ts";
import { signatures } from "./rows/signatures.ts";
import { SURPLUS_DOMAINS, surplus } from "./rows/surplus.ts";

export const GROUPS: readonly FaultGroup[] = [
  bodies,
  heads,
  surplus,
  clients,
  network,
  guard,
  keys,
  signatures,
  requests,
];

/** The servers and proxies that the lab must start for the table. */
export const LAB_OPTIONS: LabOptions = {
  ...NETWORK_PROXIES,
  singles: [...SURPLUS_DOMAINS, ...NO_HEAD_DOMAINS],
  names: { ...NETWORK_NAMES, ...GUARD_NAMES },
};
