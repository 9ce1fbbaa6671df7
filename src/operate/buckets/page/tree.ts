// Finds buckets in the tree of the settings file.
import { listAt, type Path, textAt } from "../../console/tree.ts";

/** The presets of `type: s3`, with an example of a region; without one the store has an address of its own. */
export const PRESETS = [
  ["oss", "vendorOss", "cn-hangzhou"],
  ["cos", "vendorCos", "ap-guangzhou"],
  ["obs", "vendorObs", "cn-north-4"],
  ["upyun", "vendorUpyun", ""],
  ["aws", "vendorAws", "us-east-1"],
  ["b2", "vendorB2", "us-west-004"],
  ["minio", "vendorMinio", ""],
  ["ceph", "vendorCeph", ""],
  ["kodo", "vendorKodo", "cn-east-1"],
] as const satisfies readonly (readonly [preset: string, name: string, region: string])[];

export interface BucketPlace {
  readonly appid: string;
  readonly name: string;
  readonly path: Path;
}

export function placesOf(tree: unknown): readonly BucketPlace[] {
  return listAt(tree, ["projects"]).flatMap((project, index) =>
    listAt(project, ["buckets"]).map((bucket, position) => ({
      appid: textAt(project, ["appid"]),
      name: textAt(bucket, ["name"]),
      path: ["projects", index, "buckets", position],
    })),
  );
}

/** `bucket`: `<appid>/<name>`. */
export function placeOf(tree: unknown, bucket: string): BucketPlace | undefined {
  return placesOf(tree).find(({ appid, name }) => `${appid}/${name}` === bucket);
}

/** The domain that a bucket has without being listed. */
export function defaultDomain(tree: unknown, { appid, name }: Omit<BucketPlace, "path">): string {
  return `${name}-${appid}.${textAt(tree, ["server", "baseDomain"], "localhost")}`;
}

/** The URL by which a bucket can be tried before its domains point to the server. */
export function testUrl(tree: unknown, place: Omit<BucketPlace, "path">, key: string): string {
  const scheme = textAt(tree, ["server", "publicScheme"]);
  const port = textAt(tree, ["server", "publicPort"], "auto");
  const shown = port !== "auto" ? port : scheme === "" ? textAt(tree, ["server", "port"], "8080") : "";
  const [path = "", query] = key.split(/\?(.*)/s, 2);
  const url = new URL(`${scheme === "" ? "http" : scheme}://${defaultDomain(tree, place)}`);
  url.port = shown;
  url.pathname = path.split("/").map(encodeURIComponent).join("/");
  url.search = query ?? "";
  return url.href;
}
