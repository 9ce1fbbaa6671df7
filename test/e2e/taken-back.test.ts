// An image that the origin withdraws while an older version is still being fetched through another domain of the
// bucket.
import { expect, onTestFinished, test } from "vitest";
import { get } from "../helpers/get.ts";
import { noisyJpeg } from "../helpers/images.ts";
import { eventually, install } from "../helpers/program.ts";
import { head, response, startScriptedOrigin } from "../helpers/scripted-origin.ts";
import { APPID, KEYS } from "../helpers/settings.ts";

test.each([
  ["has lost the image", head("404 Not Found", [["Content-Length", "0"]]), 404],
  ["forbids to store it", undefined, 200],
] as const)(
  "once its origin %s, a pending fetch is served to its client, and not stored",
  async (_what, gone, status) => {
    const [old, fresh] = await Promise.all([noisyJpeg(640, 480), noisyJpeg(64, 48)]);
    const taken = gone ?? response(fresh, { headers: { "Cache-Control": "no-store" } });
    let goOn = () => {};
    const origin = await startScriptedOrigin(async (_request, connection) => {
      if (origin.requests.length > 1) return connection.send(taken);
      await connection.send(head("200 OK", [["Content-Length", String(old.length)]]));
      await connection.send(old.subarray(0, old.length / 2));
      await new Promise<void>((resolve) => {
        goOn = resolve;
      });
      await connection.send(old.subarray(old.length / 2));
    });
    onTestFinished(() => origin.close());
    const mirror = {
      negativeTtl: "0s",
      freshness: { mode: "origin", ttl: "60s", staleIfError: "0s", onGone: "remove" },
    };
    const source = { type: "site", url: origin.url, allowPrivate: true };
    // With equal settings they would share one mirror, and so the fetch.
    const domains = ["one.test", "other.test"].map((host, index) => ({
      host,
      mirror: { ...mirror, origins: [{ ...source, connections: 8 + index }] },
    }));
    const buckets = [{ name: "photos", domains }];
    const installation = await install({ projects: [{ appid: APPID, keys: [KEYS[0]], buckets }] });
    onTestFinished(() => installation.remove());
    const program = await installation.start();
    onTestFinished(async () => void (await program.stop()));
    const ask = (host: string) => get({ port: program.downloadPort, host, path: "/a.jpg" });

    const first = ask("one.test");
    await eventually(() => origin.requests.length === 1, "the first fetch");
    // The order of fetches is decided by their milliseconds.
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect((await ask("other.test")).status).toBe(status);
    goOn();
    expect((await first).body.equals(old)).toBe(true);
    await program.stop();
    const again = await installation.start();
    onTestFinished(async () => void (await again.stop()));
    const later = await get({ port: again.downloadPort, host: "one.test", path: "/a.jpg" });
    expect([later.status, later.body.equals(old)]).toEqual([status, false]);
  },
);
