// Bounds what edits over the admin API may name: no new secret of a variable or a file, no folder, and as 404 page only
// a page below the folder of the settings file. A secret that is sent as it is goes to no other address. The holder of
// the admin token need not be the operator of the machine, and an origin of their own could receive the secret.
import { dirname, resolve } from "node:path";
import { child, isMapping, items, type PathNode, text } from "../checks/path-nodes.ts";
import { formatPath, type SettingsPath } from "../faults.ts";
import { isBelow, PAGE_NAME, realOf } from "../secret.ts";
import { FILE_PATHS, textsAt } from "../setting-paths.ts";
import { refused, type SettingsEdit } from "./edit-text.ts";

const FORBIDDEN = { answerStatus: 403 };
const REFERENCE = /^(?:env|file):/;

/**
 * `tree`: the settings of the file, `next`: those after the edits. Throws request_invalid with 403 for a new name.
 * Whether a file exists outside of the folder is not told.
 */
export function checkNames(file: string, tree: unknown, next: unknown, edits: readonly SettingsEdit[]): void {
  for (const { path, value } of edits) refuseReferences(value, path, tree);
  refuseOtherReceivers(tree, next, edits);
  const folder = dirname(resolve(file));
  for (const pattern of FILE_PATHS) {
    const place = formatPath(pattern.filter((part) => part !== "*").slice(-2));
    const known = new Set(textsAt(tree, pattern));
    for (const path of textsAt(next, pattern).filter((text) => !known.has(text))) {
      if (!pattern.includes("notFound")) throw refused(`only the file itself may name ${place}`, FORBIDDEN);
      const [real, name] = [realOf(resolve(folder, path)), `${JSON.stringify(path)} (${place})`];
      if (!isBelow(realOf(folder), real))
        throw refused(`${name} is not below the folder of the settings file`, FORBIDDEN);
      if (!PAGE_NAME.test(path) || !PAGE_NAME.test(real))
        throw refused(`${name} is no page: wanted .html, .htm, .png, .jpg, .jpeg, .gif or .webp`, FORBIDDEN);
    }
  }
}

/** Wherever it is written: an alias may lead from there to a secret. */
function refuseReferences(value: unknown, path: SettingsPath, tree: unknown): void {
  const known = path.reduce<unknown>(
    (inner, part) => (inner as Readonly<Record<string, unknown>> | null | undefined)?.[part],
    tree,
  );
  if (typeof value === "object" && value !== null)
    for (const [key, inner] of Object.entries(value)) refuseReferences(inner, [...path, key], tree);
  else if (typeof value === "string" && REFERENCE.test(value) && value !== known)
    throw refused(`only the file itself may name ${value} (${formatPath(path)})`, FORBIDDEN);
}

/** A secret that the caller wrote out in these edits is known to them. */
function refuseOtherReceivers(tree: unknown, next: unknown, edits: readonly SettingsEdit[]): void {
  const pair = ({ secret, receiver }: SentSecret) => JSON.stringify([secret, receiver]);
  const known = new Set<string>();
  for (const sent of sentSecrets(tree)) known.add(pair(sent));
  const given = new Set(edits.flatMap(({ value }) => textsIn(value)));
  for (const sent of sentSecrets(next)) {
    const { secret, path } = sent;
    const isReference = REFERENCE.test(secret);
    if (known.has(pair(sent)) || (given.has(secret) && !isReference)) continue;
    const found = `${formatPath(path)} would be sent to another address`;
    throw refused(`${found}; ${isReference ? "edit the file by hand" : "give its value anew"}`, FORBIDDEN);
  }
}

interface SentSecret {
  /** As written in the file. */
  readonly secret: string;
  readonly path: SettingsPath;
  readonly receiver: readonly unknown[];
}

/** The secrets that origins receive as they are. With all others, this program only signs. */
function* sentSecrets(settings: unknown): Generator<SentSecret> {
  if (!isMapping(settings)) return;
  const buckets = items({ path: [], value: settings }, "projects").flatMap((project) => items(project, "buckets"));
  for (const domain of buckets.flatMap((bucket) => items(bucket, "domains"))) {
    const mirror = child(domain, "mirror");
    for (const source of [mirror, ...items(mirror, "rules")]) {
      const shared = [...textsOf(child(child(source, "passHeaders"), "set")), ...textsOf(child(source, "setQuery"))];
      const isOwn = source.value.origins !== undefined;
      for (const origin of items(isOwn ? source : mirror, "origins")) {
        const password = textsOf(child(origin, "basicAuth")).filter(({ path }) => path.at(-1) === "password");
        const own = [...textsOf(child(origin, "headers")), ...password];
        for (const sent of [...shared, ...own]) yield { ...sent, receiver: receiverOf(origin) };
      }
    }
  }
}

const textsOf = (node: PathNode) =>
  Object.keys(node.value).flatMap((key) => {
    const secret = text(node, key);
    return secret === undefined ? [] : [{ secret, path: [...node.path, key] }];
  });

/** `host` counts: behind one address, a CDN has the sites of others. */
const receiverOf = ({ value }: PathNode) => [
  ...[value.url, value.domain, value.endpoint].map((url) =>
    URL.canParse(String(url)) ? new URL(String(url)).origin : "",
  ),
  ...[value.host, value.preset, value.region, value.bucket].map((part) => part ?? ""),
];

function textsIn(value: unknown): readonly string[] {
  if (typeof value === "string") return [value];
  return typeof value === "object" && value !== null ? Object.values(value).flatMap(textsIn) : [];
}
