// Parses settings for the tests of this folder, without reading the machine's files or environment.
import { type Fault, SettingsFaults } from "../../../src/settings/faults.ts";
import { parseSettings } from "../../../src/settings/load.ts";
import type { MirrorSettings, Settings, SiteOriginSettings } from "../../../src/settings/schema/schema.ts";

/** The shortest valid file: one project, one bucket, no domain. */
export const MINIMAL = `projects:
  - appid: "10001234"
    keys: [{ secretId: AKID, secretKey: SECRET }]
    buckets: [{ name: photos }]
`;

/** MINIMAL with further keys of the bucket, in YAML flow form. */
export function withBucket(keys: string): string {
  return MINIMAL.replace("{ name: photos }", `{ name: photos, ${keys} }`);
}

export function withMirror(keys: string): string {
  return withBucket(
    `domains: [{ host: img.example.com, mirror: { origins: [{ type: site, url: "https://src.example.com" }], ${keys} } }]`,
  );
}

export function withOrigin(keys: string): string {
  return withBucket(`domains: [{ host: img.example.com, mirror: { origins: [{ type: site, ${keys} }] } }]`);
}

/** The first origin of a mirror; undefined if it is not a site. */
export function siteOf(mirror: MirrorSettings | undefined): SiteOriginSettings | undefined {
  const origin = mirror?.origins[0];
  return origin?.type === "site" ? origin : undefined;
}

export interface World {
  readonly env?: Readonly<Record<string, string>>;
  /** Absolute path → text. */
  readonly files?: Readonly<Record<string, string>>;
}

export function parse(text: string, { env = {}, files = {} }: World = {}): Settings {
  return parseSettings(text, {
    env,
    file: "/etc/huiyuan/huiyuan.yaml",
    readFile: (path) => {
      const content = files[path];
      if (content === undefined) throw Object.assign(new Error("no such file"), { code: "ENOENT" });
      return content;
    },
  });
}

/** Every fault; empty if the text is valid. */
export function faultsOf(text: string, world: World = {}): readonly Fault[] {
  try {
    parse(text, world);
    return [];
  } catch (error) {
    if (!(error instanceof SettingsFaults)) throw error;
    return error.faults;
  }
}

export function pathsOf(text: string, world: World = {}): readonly string[] {
  return faultsOf(text, world).map((fault) => fault.path);
}
