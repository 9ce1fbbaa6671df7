// Settings objects for end-to-end tests: one project with a bucket behind the `*` domain.

export const APPID = "10001234";
export const KEYS = [
  { secretId: "AKIDTESTTESTTESTTESTTESTTESTTEST0001", secretKey: "0123456789abcdefghijABCDEFGHIJKL" },
  { secretId: "AKIDTESTTESTTESTTESTTESTTESTTEST0002", secretKey: "ABCDEFGHIJKL0123456789abcdefghij" },
] as const;

/** A mirror of one site, which may be on loopback. */
export function mirrorOf(url: string, more: object = {}): object {
  return { origins: [{ type: "site", url, allowPrivate: true }], ...more };
}

/** One bucket `photos` that serves every host. */
export function oneBucket(mirror: object | undefined, bucket: object = {}, more: object = {}): object {
  const domain = mirror === undefined ? { host: "*" } : { host: "*", mirror };
  return {
    projects: [{ appid: APPID, keys: [KEYS[0]], buckets: [{ name: "photos", domains: [domain], ...bucket }] }],
    ...more,
  };
}
