// Checks rules between the keys of a mirror source, including its rules. Pure.
import { isKey } from "../../core/object.ts";
import type { PathFault } from "../faults.ts";
import { headerFaults, isHiddenOrigin, type OwnAddresses, originFaults, ownHostFault } from "./origin-checks.ts";
import { MAX_ORIGIN_HEADERS, originUrlFault, passedHeaderFault } from "./origin-rules.ts";
import { child, faultAt, items, type PathNode, text } from "./path-nodes.ts";

export function* mirrorFaults(mirror: PathNode, own: OwnAddresses): Generator<PathFault> {
  yield* sourceFaults(mirror, mirror, own);
  for (const rule of items(mirror, "rules")) {
    yield* sourceFaults(rule, mirror, own);
    yield* pathFaults(rule);
    yield* passFaults(rule);
    yield* redirectFaults(rule, mirror, own);
    const fallback = text(rule, "fallbackKey");
    if (fallback !== undefined && !isKey(fallback))
      yield faultAt(rule, "fallbackKey", "it is not a key: 1 to 1024 bytes without . and .. segments");
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
    yield faultAt(timeouts, "total", `found ${total}ms, wanted at least the ${firstByte}ms of firstByte`);
  const inForce = source.value.origins === undefined ? items(domain, "origins") : all;
  if (source.value.processedMiss === "origin" && inForce.some((origin) => origin.value.type === "s3"))
    yield faultAt(source, "processedMiss", "an s3 origin is a store and processes nothing, wanted local");
  if (all.length > 0 && all.every((origin) => origin.value.standby === true))
    yield faultAt(source, "origins", "every origin is standby, wanted at least one that is not");
}

/** Two keys must not name one object at the origin, except by `file`: stored keys must map back to one name. */
function* pathFaults(rule: PathNode): Generator<PathFault> {
  const match = child(rule, "match");
  const path = child(rule, "path");
  const { strip, stripSuffix, file, template } = path.value;
  if (typeof strip === "string" && !(text(match, "prefix") ?? "").startsWith(strip))
    yield faultAt(path, "strip", "not every key that matches begins with it, wanted match.prefix to begin with it");
  if (typeof stripSuffix === "string" && !(text(match, "suffix") ?? "").endsWith(stripSuffix))
    yield faultAt(path, "stripSuffix", "not every key that matches ends with it, wanted match.suffix to end with it");
  if (file !== undefined && Object.keys(path.value).length > 1)
    yield faultAt(path, "file", "it is the whole path, wanted nothing beside it");
  if (typeof template === "string") {
    if (template.split("{key}").length !== 2) yield faultAt(path, "template", "wanted {key} in it exactly once");
    const beside = ["add", "addSuffix"].filter((key) => path.value[key] !== undefined).join(" and ");
    if (beside !== "") yield faultAt(path, "template", `it is the whole path, wanted no ${beside} beside it`);
  }
  for (const key of ["add", "file", "template"]) {
    const segments = (text(path, key)?.split("?", 1)[0] ?? "").split("/");
    if (segments.includes(".") || segments.includes("..")) yield faultAt(path, key, "it has a . or .. segment");
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
    yield { path, message: `found ${parameters} parameters, wanted at most ${MAX_ORIGIN_HEADERS}` };
  yield* headerFaults(child(pass, "set"));
}

/** Redirects must not show clients a private origin, and must not lead back to this server. */
function* redirectFaults(rule: PathNode, domain: PathNode, own: OwnAddresses): Generator<PathFault> {
  const { action, followRedirects } = rule.value;
  const origins = items(rule.value.origins === undefined ? domain : rule, "origins");
  const isHidden = origins.some(isHiddenOrigin);
  if (followRedirects === false && isHidden) {
    const reason = "the origin is private, or needs credentials or a name of its own";
    yield faultAt(rule, "followRedirects", `clients cannot follow its redirects: ${reason}`);
  }
  const url = text(rule, "redirectTo");
  const ownFault = url === undefined || originUrlFault(url) !== undefined ? undefined : ownHostFault(url, own);
  if (ownFault !== undefined) yield faultAt(rule, "redirectTo", ownFault);
  if (url === undefined && isHidden && (action === "async" || action === "redirect")) {
    const reason = `${action} would send clients to a private URL`;
    yield faultAt(rule, "redirectTo", `is missing, wanted a URL for clients: ${reason}`);
  }
}
