// Checks rules between the keys of a mirror source with its rules, and the aliases and styles of a bucket: one
// namespace, no separators in names, valid instructions. Pure.
import { HuiyuanError } from "../../core/errors.ts";
import { isKey } from "../../core/object.ts";
import { parseInstruction } from "../../serve/image/grammar/grammar.ts";
import { type Both, both, say } from "../fault-words.ts";
import type { PathFault } from "../faults.ts";
import {
  headerFaults,
  isHiddenOrigin,
  MAX_ORIGIN_HEADERS,
  type OwnAddresses,
  originFaults,
  originUrlFault,
  ownHostFault,
  passedHeaderFault,
} from "./origin-checks.ts";
import { child, faultAt, items, type PathNode, text } from "./path-nodes.ts";

export function* mirrorFaults(mirror: PathNode, own: OwnAddresses): Generator<PathFault> {
  yield* sourceFaults(mirror, mirror, own);
  for (const rule of items(mirror, "rules")) {
    yield* sourceFaults(rule, mirror, own);
    yield* pathFaults(rule);
    yield* passFaults(rule);
    yield* redirectFaults(rule, mirror, own);
    const fallback = text(rule, "fallbackKey");
    if (fallback !== undefined && !isKey(fallback)) yield faultAt(rule, "fallbackKey", say("notAKey"));
  }
}

/** Faults that a domain and its rules share. `domain` has the values that the rule leaves out. */
function* sourceFaults(source: PathNode, domain: PathNode, own: OwnAddresses): Generator<PathFault> {
  const timeouts = child(source, "timeouts");
  const { firstByte, total } = { ...child(domain, "timeouts").value, ...timeouts.value };
  const all = items(source, "origins");
  for (const origin of all) yield* originFaults(origin, own);
  const isWritten = source === domain || Object.keys(timeouts.value).length > 0;
  if (isWritten && typeof firstByte === "number" && typeof total === "number" && total < firstByte)
    yield faultAt(timeouts, "total", say("totalShort", { total, firstByte }));
  const inForce = source.value.origins === undefined ? items(domain, "origins") : all;
  if (source.value.processedMiss === "origin" && inForce.some((origin) => origin.value.type === "s3"))
    yield faultAt(source, "processedMiss", say("storeProcesses"));
  if (all.length > 0 && all.every((origin) => origin.value.standby === true))
    yield faultAt(source, "origins", say("allStandby"));
}

/** Two keys must not name one object at the origin, except by `file`: stored keys must map back to one name. */
function* pathFaults(rule: PathNode): Generator<PathFault> {
  const match = child(rule, "match");
  const path = child(rule, "path");
  const { strip, stripSuffix, file, template } = path.value;
  if (typeof strip === "string" && !(text(match, "prefix") ?? "").startsWith(strip))
    yield faultAt(path, "strip", say("strip"));
  if (typeof stripSuffix === "string" && !(text(match, "suffix") ?? "").endsWith(stripSuffix))
    yield faultAt(path, "stripSuffix", say("stripSuffix"));
  if (file !== undefined && Object.keys(path.value).length > 1) yield faultAt(path, "file", say("fileBeside"));
  if (typeof template === "string") {
    if (template.split("{key}").length !== 2) yield faultAt(path, "template", say("templateKey", { key: "{key}" }));
    const beside = ["add", "addSuffix"].filter((key) => path.value[key] !== undefined);
    const keys = both(beside.join(" and "), beside.join("、"));
    if (beside.length > 0) yield faultAt(path, "template", say("templateBeside", { keys }));
  }
  for (const key of ["add", "file", "template"]) {
    const segments = (text(path, key)?.split("?", 1)[0] ?? "").split("/");
    if (segments.includes(".") || segments.includes("..")) yield faultAt(path, key, say("dotSegment"));
  }
}

function* passFaults(rule: PathNode): Generator<PathFault> {
  const pass = child(rule, "passHeaders");
  const { allow } = pass.value;
  const names: readonly unknown[] = Array.isArray(allow) ? allow : [];
  for (const [index, name] of names.entries()) {
    const message = typeof name === "string" && name !== "*" ? passedHeaderFault(name) : undefined;
    if (message !== undefined) yield { path: [...pass.path, "allow", index], message };
  }
  const { path, value } = child(rule, "setQuery");
  const parameters = Object.keys(value).length;
  if (parameters > MAX_ORIGIN_HEADERS)
    yield { path, message: say("manyParameters", { count: parameters, max: MAX_ORIGIN_HEADERS }) };
  yield* headerFaults(child(pass, "set"));
}

/** Redirects must not show clients a private origin, and must not lead back to this server. */
function* redirectFaults(rule: PathNode, domain: PathNode, own: OwnAddresses): Generator<PathFault> {
  const { action, followRedirects } = rule.value;
  const origins = items(rule.value.origins === undefined ? domain : rule, "origins");
  const isHidden = origins.some(isHiddenOrigin);
  if (followRedirects === false && isHidden) yield faultAt(rule, "followRedirects", say("redirectsHidden"));
  const url = text(rule, "redirectTo");
  const ownFault = url === undefined || originUrlFault(url) !== undefined ? undefined : ownHostFault(url, own);
  if (ownFault !== undefined) yield faultAt(rule, "redirectTo", ownFault);
  if (url === undefined && isHidden && (action === "async" || action === "redirect"))
    yield faultAt(rule, "redirectTo", say("redirectToHidden", { action }));
}

/** Separators of every era, and more of Qiniu. */
export const SEPARATORS = ["-", "_", "/", "!"] as const;
export const QINIU_SEPARATORS = [..."~@$^&*()+={}[]|:;\"'<>,"] as const;

/** Every uploaded image is rendered in each style. */
const MAX_STYLES = 100;

/** Every fault of a bucket's aliases and styles. */
export function* styleFaults(bucket: PathNode): Generator<PathFault> {
  const [aliases, styles] = [child(bucket, "aliases"), child(bucket, "styles")];
  const all = [aliases, styles].flatMap((place) =>
    Object.entries(place.value).map(([name, text]) => ({ place, name, text })),
  );
  const separators = Array.isArray(bucket.value.separators) ? bucket.value.separators.map(String) : [];
  if (all.length > 0 && separators.length === 0) yield faultAt(bucket, "separators", say("noSeparator"));
  const styleCount = Object.keys(styles.value).length;
  if (styleCount > MAX_STYLES)
    yield { path: styles.path, at: "key", message: say("manyStyles", { count: styleCount, max: MAX_STYLES }) };
  const { grammarEra } = bucket.value;
  const era = grammarEra === "later" || grammarEra === "qiniu" ? grammarEra : 2015;
  const own = separators.find((separator) => QINIU_SEPARATORS.includes(separator));
  if (own !== undefined && era !== "qiniu")
    yield faultAt(bucket, "separators", say("separatorEra", { separator: own, known: SEPARATORS.join(" ") }));
  for (const { place, name, text } of all) {
    const path = [...place.path, name];
    const separator = separators.find((each) => name.includes(each));
    if (separator !== undefined) yield { path, at: "key", message: say("nameSeparator", { separator }) };
    if (place === styles && Object.hasOwn(aliases.value, name)) yield { path, at: "key", message: say("nameTaken") };
    const message = typeof text === "string" ? instructionFault(text, { era }) : undefined;
    if (message !== undefined) yield { path, message };
  }
}

function instructionFault(text: string, era: Parameters<typeof parseInstruction>[1]): Both | undefined {
  try {
    parseInstruction(text, era);
    return undefined;
  } catch (error) {
    if (!(error instanceof HuiyuanError)) throw error;
    const what = error.message.replace(/^Cannot process: /, "");
    return say("instruction", { what, parameter: error.parameter ?? JSON.stringify(text.slice(0, 80)) });
  }
}
