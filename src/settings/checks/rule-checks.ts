// Checks rules between the keys of a mirror source, including its rules. Pure.
import { isKey } from "../../core/object.ts";
import type { PathFault } from "../faults.ts";
import { headerFaults, isHiddenOrigin, type OwnAddresses, originFaults, ownHostFault } from "./origin-checks.ts";
import { MAX_ORIGIN_HEADERS, originUrlFault, passedHeaderFault } from "./origin-rules.ts";
import { child, faultAt, items, type PathNode, text } from "./path-nodes.ts";

export function mirrorFaults(mirror: PathNode, own: OwnAddresses): readonly PathFault[] {
  return [
    ...sourceFaults(mirror, mirror, own),
    ...items(mirror, "rules").flatMap((rule) => [
      ...sourceFaults(rule, mirror, own),
      ...pathFaults(rule),
      ...passFaults(rule),
      ...redirectFaults(rule, mirror, own),
      ...keyFault(rule, "fallbackKey"),
    ]),
  ];
}

/** Faults that a domain and its rules share. `domain` has the values that the rule leaves out. */
function sourceFaults(source: PathNode, domain: PathNode, own: OwnAddresses): readonly PathFault[] {
  const timeouts = child(source, "timeouts");
  const { firstByte, total } = { ...child(domain, "timeouts").value, ...timeouts.value };
  const faults = items(source, "origins").flatMap((origin) => originFaults(origin, own));
  const isWritten = source === domain || Object.keys(timeouts.value).length > 0;
  if (isWritten && typeof firstByte === "number" && typeof total === "number" && total < firstByte) {
    faults.push(faultAt(timeouts, "total", `found ${total}ms, wanted at least the ${firstByte}ms of firstByte`));
  }
  const all = items(source, "origins");
  const inForce = source.value.origins === undefined ? items(domain, "origins") : all;
  if (source.value.processedMiss === "origin" && inForce.some((origin) => origin.value.type === "s3")) {
    faults.push(faultAt(source, "processedMiss", "an s3 origin is a store and processes nothing, wanted local"));
  }
  if (all.length > 0 && all.every((origin) => origin.value.standby === true)) {
    faults.push(faultAt(source, "origins", "every origin is standby, wanted at least one that is not"));
  }
  return faults;
}

/** Two keys must not name one object at the origin, except by `file`: stored keys must map back to one name. */
function pathFaults(rule: PathNode): readonly PathFault[] {
  const match = child(rule, "match");
  const path = child(rule, "path");
  const { strip, stripSuffix, file, template } = path.value;
  const at = (key: string, message: string): PathFault => faultAt(path, key, message);
  const faults: PathFault[] = [];
  if (typeof strip === "string" && !(text(match, "prefix") ?? "").startsWith(strip)) {
    faults.push(at("strip", "not every key that matches begins with it, wanted match.prefix to begin with it"));
  }
  if (typeof stripSuffix === "string" && !(text(match, "suffix") ?? "").endsWith(stripSuffix)) {
    faults.push(at("stripSuffix", "not every key that matches ends with it, wanted match.suffix to end with it"));
  }
  if (file !== undefined && Object.keys(path.value).length > 1) {
    faults.push(at("file", "it is the whole path, wanted nothing beside it"));
  }
  if (typeof template === "string") {
    if (template.split("{key}").length !== 2) faults.push(at("template", "wanted {key} in it exactly once"));
    const beside = ["add", "addSuffix"].filter((key) => path.value[key] !== undefined);
    if (beside.length > 0)
      faults.push(at("template", `it is the whole path, wanted no ${beside.join(" and ")} beside it`));
  }
  return [...faults, ...["add", "file", "template"].flatMap((key) => dotFault(path, key))];
}

function dotFault(path: PathNode, key: string): readonly PathFault[] {
  const segments = (text(path, key)?.split("?", 1)[0] ?? "").split("/");
  if (!segments.some((segment) => segment === "." || segment === "..")) return [];
  return [faultAt(path, key, "it has a . or .. segment")];
}

function keyFault(place: PathNode, key: string): readonly PathFault[] {
  const value = text(place, key);
  if (value === undefined || isKey(value)) return [];
  return [faultAt(place, key, "it is not a key: 1 to 1024 bytes without . and .. segments")];
}

function passFaults(rule: PathNode): readonly PathFault[] {
  const pass = child(rule, "passHeaders");
  const { allow } = pass.value;
  const names: readonly unknown[] = Array.isArray(allow) ? allow : [];
  const set = child(rule, "setQuery");
  const faults = names.flatMap((name, index) => {
    const message = typeof name === "string" && name !== "*" ? passedHeaderFault(name) : undefined;
    return message === undefined ? [] : [{ path: [...pass.path, "allow", index], message }];
  });
  const parameters = Object.keys(set.value).length;
  if (parameters > MAX_ORIGIN_HEADERS) {
    faults.push({
      path: [...set.path],
      message: `found ${parameters} parameters, wanted at most ${MAX_ORIGIN_HEADERS}`,
    });
  }
  return [...faults, ...headerFaults(child(pass, "set"))];
}

/** Redirects must not show clients a private origin, and must not lead back to this server. */
function redirectFaults(rule: PathNode, domain: PathNode, own: OwnAddresses): readonly PathFault[] {
  const at = (key: string, message: string): PathFault => faultAt(rule, key, message);
  const { action, followRedirects } = rule.value;
  const origins = items(rule.value.origins === undefined ? domain : rule, "origins");
  const isHidden = origins.some(isHiddenOrigin);
  const faults: PathFault[] = [];
  if (followRedirects === false && isHidden) {
    const reason = "the origin is private, or needs credentials or a name of its own";
    faults.push(at("followRedirects", `clients cannot follow its redirects: ${reason}`));
  }
  const url = text(rule, "redirectTo");
  const ownFault = url === undefined || originUrlFault(url) !== undefined ? undefined : ownHostFault(url, own);
  if (ownFault !== undefined) faults.push(at("redirectTo", ownFault));
  if (url === undefined && isHidden && (action === "async" || action === "redirect")) {
    const reason = `${action} would send clients to a private URL`;
    faults.push(at("redirectTo", `is missing, wanted a URL for clients: ${reason}`));
  }
  return faults;
}
