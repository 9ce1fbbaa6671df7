// Starts a trial in the test's own process: a sample site, and the mirror with the page in front of it.
import { type App, startApp } from "../../src/app.ts";
import { SILENT_LOG } from "../../src/core/log.ts";
import { toKey } from "../../src/core/object.ts";
import type { SamplePicture } from "../../src/operate/trial/run/sample-site.ts";
import { type SampleSite, startSampleSite } from "../../src/operate/trial/run/sample-site.ts";
import { createTrial } from "../../src/operate/trial/run/trial.ts";
import { trialSettings } from "../../src/operate/trial/run/trial-settings.ts";
import { makeKeyPair } from "../../src/settings/key-pair.ts";

const PORTS = { port: 0, adminPort: 0 };

/** The caller stops the app, then closes the server. */
export async function startTrialApp(
  folder: string,
  pictures: readonly SamplePicture[],
  delayMs: number,
): Promise<{ readonly app: App; readonly server: SampleSite }> {
  const server = await startSampleSite({ pictures, delayMs });
  const parts = { folder, originUrl: server.url, isPrivate: true, keys: makeKeyPair() };
  const keys = pictures.map(({ name }) => toKey(`images/${name}`));
  const trial = createTrial({
    site: { url: server.url, isPrivate: true, pictures: keys, trouble: undefined },
    sample: { server, pictures },
    mirrorUrl: (key) => `http://127.0.0.1:${app.downloadPort}/${encodeURI(key)}`,
    mirror: (chosen) => app.reload(trialSettings({ ...parts, chosen }, PORTS), ""),
    ownPorts: () => [app.downloadPort, app.adminPort],
  });
  const app: App = await startApp({ settings: trialSettings(parts, PORTS), trial, log: SILENT_LOG });
  return { app, server };
}
