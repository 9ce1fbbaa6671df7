// The table of faults: every group in the order of docs/faults.md.
import type { FaultGroup } from "./fault.ts";
import type { LabOptions } from "./lab.ts";
import { bodies } from "./rows/bodies.ts";
import { clients } from "./rows/clients.ts";
import { GUARD_NAMES, guard } from "./rows/guard.ts";
import { heads } from "./rows/heads.ts";
import { keys } from "./rows/keys.ts";
import { NETWORK_NAMES, NETWORK_PROXIES, network } from "./rows/network.ts";
import { requests } from "./rows/requests.ts";
import { signatures } from "./rows/signatures.ts";

export const GROUPS: readonly FaultGroup[] = [bodies, heads, clients, network, guard, keys, signatures, requests];

/** What the lab must stand up for them. */
export const LAB_OPTIONS: LabOptions = { ...NETWORK_PROXIES, names: { ...NETWORK_NAMES, ...GUARD_NAMES } };
