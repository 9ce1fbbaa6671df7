// Rows about internal addresses (helpers/inside-hosts.ts) and the SSRF guard: in a redirect, in a DNS response, in the
// settings. A listener on loopback counts connections.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { checkCommand } from "../../../src/operate/cli/check.ts";
import { INSIDE_ANSWERS, INSIDE_HOSTS } from "../../helpers/inside-hosts.ts";
import type { NameTable } from "../../helpers/name-server.ts";
import { run } from "../../helpers/run-command.ts";
import { response } from "../../helpers/scripted-origin.ts";
import { oneBucket } from "../../helpers/settings.ts";
import type { Fault, FaultGroup } from "../fault.ts";
import { type Lab, PATIENT, tell } from "../lab.ts";

/** Whole Location values; `PORT` is replaced with the listener's port. */
const LOCATIONS: readonly (readonly [string, string])[] = [
  ["user name before the host", "http://cdn.example@127.0.0.1:PORT/x.jpg"],
  ["backslash before @", "http://127.0.0.1:PORT\\@cdn.example/x.jpg"],
  ["# before @", "http://127.0.0.1:PORT#@cdn.example/x.jpg"],
  ["escaped CR LF in the host", "http://127.0.0.1%0d%0a:PORT/x.jpg"],
  ["a zone in the host", "http://[fe80::1%25eth0]:PORT/x.jpg"],
  ["no scheme", "//127.0.0.1:PORT/x.jpg"],
  ["a tab in the scheme", "ht\ttp://127.0.0.1:PORT/x.jpg"],
  ["port 22 of the origin", "http://127.0.0.1:22/x.jpg"],
  ["port 25 of the origin", "http://127.0.0.1:25/x.jpg"],
  ["port 6379 of the origin", "http://127.0.0.1:6379/x.jpg"],
  ["port 0 of the origin", "http://127.0.0.1:0/x.jpg"],
  ["file:", "file:///etc/passwd"],
  ["gopher:", "gopher://127.0.0.1:PORT/_x"],
  ["data:", "data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw=="],
  ["ftp:", "ftp://127.0.0.1:PORT/x.jpg"],
];

interface GuardSeen {
  readonly client: string;
  /** Connections that the listener inside has accepted. */
  readonly reached: number;
}

const BLOCKED: GuardSeen = { client: "424, -120", reached: 0 };

function fault(id: string, what: string, observeClient: (lab: Lab) => Promise<string>, expected = BLOCKED): Fault {
  return {
    id,
    what,
    expected: { ...expected },
    observe: async (lab) => ({ client: await observeClient(lab), reached: lab.inside.connections }),
  };
}

function redirectFault(id: string, what: string, location: (lab: Lab) => string): Fault {
  return fault(id, what, async (lab) => {
    const path = `/${id}.jpg`;
    // UTF-8, as browsers and servers send it.
    const Location = Buffer.from(location(lab).replaceAll("PORT", String(lab.inside.port))).toString("latin1");
    const head = `HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: ${Location}\r\n\r\n`;
    lab.script(path, [head]);
    return tell(await lab.get({ path }), lab.picture);
  });
}

const nameDomain = (index: number) => `guarded-${index}.test`;

/** For `LabOptions`. `rebound`: the configured origin's own name, whose address changes between two look-ups. */
export const GUARD_NAMES: Readonly<Record<string, { readonly answers: NameTable[string]; readonly isHome?: boolean }>> =
  {
    ...Object.fromEntries(INSIDE_ANSWERS.map((answers, index) => [nameDomain(index), { answers }])),
    "rebound.test": { answers: { inTurn: [["127.0.0.1"], ["169.254.169.254"]] }, isHome: true },
  };

const byName = INSIDE_ANSWERS.map((answers, index) =>
  fault(`name-${index}`, `the origin's name is ${answers.join(" and ")}`, async (lab) =>
    tell(await lab.get({ path: `/name-${index}.jpg`, host: nameDomain(index) }), lab.picture),
  ),
);

const rebinding = fault(
  "name-rebound",
  "the origin's name is a private address it may have, then 169.254.169.254",
  async (lab) => {
    const results: string[] = [];
    for (const path of ["/rebound-1.jpg", "/rebound-2.jpg"]) {
      // Each request uses a new connection, so that the name is resolved again.
      lab.script(path, [response(lab.picture, { headers: { Connection: "close" } }), "FIN"]);
      results.push(tell(await lab.get({ path, host: "rebound.test" }), lab.picture));
    }
    return results.join("; ");
  },
  { client: "200 whole; 424, -120", reached: 0 },
);

const ownPort = redirectFault("redirect-own-port", "redirect to this server's own port", (lab) => {
  return `http://127.0.0.1:${lab.program.downloadPort}/redirect-own-port-back.jpg`;
});

const ownHost = redirectFault("redirect-own-admin", "redirect to this server's admin port", (lab) => {
  return `http://127.0.0.1:${lab.program.adminPort}/metrics`;
});

const viaTls = fault("redirect-upgrade-inside", "redirect from http to https to inside", async (lab) => {
  const path = "/redirect-upgrade-inside.jpg";
  const second = "/redirect-upgrade-inside-2.jpg";
  const to = (location: string) => [response("", { status: "302 Found", headers: { Location: location } })];
  lab.script(path, to(`https://origin.test:${lab.secureOrigin.port}${second}`));
  lab.script(second, to(`https://127.0.0.1:${lab.inside.port}/x.jpg`));
  return tell(await lab.get({ path, host: PATIENT }), lab.picture);
});

/** The verdict of `huiyuan check` on an origin URL: "refused" or "taken". */
function settingsFault(id: string, url: string): Fault {
  return fault(
    id,
    `settings: an origin at ${url}`,
    async (lab) => {
      const file = join(lab.installation.folder, `${id}.yaml`);
      const mirror = { origins: [{ type: "site", url }] };
      await writeFile(file, JSON.stringify(oneBucket(mirror, { domains: [{ host: "own.example", mirror }] })));
      const said = await run(checkCommand, ["--config", file, "--json"]);
      const { ok, faults = [] } = JSON.parse(said.out) as { ok: boolean; faults?: { path: unknown }[] };
      const isAboutUrl = JSON.stringify(faults.map(({ path }) => path)).includes("url");
      return ok ? "settings taken" : isAboutUrl ? "settings refused" : "settings refused FOR ANOTHER REASON";
    },
    { client: "settings refused", reached: 0 },
  );
}

const SETTINGS_URLS: readonly string[] = [
  ...INSIDE_HOSTS.map((host) => `http://${host}:8000`),
  "http://own.example",
  "http://OWN.example.",
  "http://photos-10001234.localhost",
  "http://user@cdn.example",
  "http://127.0.0.1\\@cdn.example",
  "http://127.0.0.1#@cdn.example",
  "http://cdn.example\r\nHost: inside",
  "http://cdn.example:22",
  "http://cdn.example:25",
  "http://cdn.example:6379",
  "file:///etc",
  "gopher://cdn.example",
  "data:text/plain,x",
  "ftp://cdn.example",
];

const visible = (text: string) => text.replace(/[\r\n\t]/g, (character) => encodeURIComponent(character));

export const guard: FaultGroup = {
  title: "Addresses that must not be reached",
  about:
    "Origins, redirects and names that lead to loopback, private and metadata addresses. `connections inside` counts the connections to a listener on loopback. If its settings allow it, the origin itself may be private, but only its own host and port.",
  faults: [
    ...INSIDE_HOSTS.map((host, index) =>
      redirectFault(`redirect-host-${index}`, `redirect to ${host}`, () => `http://${host}:PORT/x.jpg`),
    ),
    ...LOCATIONS.map(([what, location], index) =>
      redirectFault(`redirect-location-${index}`, `redirect: ${what}`, () => location),
    ),
    ownPort,
    ownHost,
    viaTls,
    ...byName,
    rebinding,
    ...SETTINGS_URLS.map((url, index) => settingsFault(`settings-${index}`, url)).map((row) => ({
      ...row,
      what: visible(row.what),
    })),
  ],
};
