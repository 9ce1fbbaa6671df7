// `huiyuan check`: validates a settings file; prints every fault with its line, or the public address of each bucket.
import type { Command } from "commander";
import { publicBase } from "../../serve/http/response/public-url.ts";
import { publicDomain } from "../../settings/domains.ts";
import { formatFault, SettingsFaults } from "../../settings/faults.ts";
import { isLoopbackHost } from "../../settings/hosts.ts";
import { loadSettings, settingsWarnings } from "../../settings/load.ts";
import type { Settings } from "../../settings/schema/schema.ts";
import { type ExitCode, newCommand, type Terminal } from "./terminal.ts";

interface CheckOptions {
  readonly config: string;
  readonly json: boolean;
}

const HELP = `A small settings file, which mirrors one site. \`huiyuan keys new\` makes the keys:
  projects:
    - appid: "10001234"
      keys: [{ secretId: AKID..., secretKey: "..." }]
      buckets:
        - name: photos
          domains:
            - host: img.example.com
              mirror: { origins: [{ type: site, url: "https://www.example.com" }] }

Examples:
  huiyuan check
  huiyuan check --config /etc/huiyuan/huiyuan.yaml --json`;

/** The command. Sets process.exitCode: 0 good, 1 faults; wrong usage throws CommanderError. */
export function checkCommand(terminal: Terminal): Command {
  return newCommand(terminal, "check", "check a settings file, and list every fault with its line", HELP)
    .option("-c, --config <file>", "settings file to check", "huiyuan.yaml")
    .option("--json", "print one JSON object", false)
    .action(async (options: CheckOptions) => {
      process.exitCode = await check(options, terminal);
    });
}

async function check({ config, json }: CheckOptions, terminal: Terminal): Promise<ExitCode> {
  try {
    const settings = await loadSettings(config, { env: process.env });
    const counts = countParts(settings);
    const publicAddresses = publicAddressesOf(settings);
    const warnings = settingsWarnings(settings);
    if (json) terminal.out.write(line({ ok: true, file: config, ...counts, publicAddresses, warnings }));
    else {
      const lines = [...publicAddresses.map(describeAddress), ...warnings.map((text) => `  warning: ${text}\n`)];
      terminal.out.write(`${config} is good: ${summary(counts)}\n${lines.join("")}`);
    }
    return 0;
  } catch (error) {
    if (!(error instanceof SettingsFaults)) throw error;
    if (json) terminal.out.write(line({ ok: false, file: config, faults: error.faults }));
    else terminal.out.write(`${error.faults.map((fault) => formatFault(error.file, fault)).join("\n")}\n`);
    return 1;
  }
}

/** `domains` counts the listed domains, not the default domain that every bucket has. */
function countParts({ projects }: Settings) {
  const buckets = projects.flatMap((project) => project.buckets);
  const domains = buckets.flatMap((bucket) => bucket.domains);
  const origins = domains.flatMap((domain) => domain.mirror?.origins ?? []);
  return { projects: projects.length, buckets: buckets.length, domains: domains.length, origins: origins.length };
}

interface PublicAddress {
  /** `10001234/photos` */
  readonly bucket: string;
  /** The beginning of its public URLs. Null if the kernel chooses the port. */
  readonly url: string | null;
}

function publicAddressesOf({ server, projects }: Settings): readonly PublicAddress[] {
  return projects.flatMap((project) =>
    project.buckets.map((bucket) => ({
      bucket: `${project.appid}/${bucket.name}`,
      url: publicBase(server, publicDomain(server, project, bucket)) ?? null,
    })),
  );
}

function describeAddress({ bucket, url }: PublicAddress): string {
  const hint = url !== null && isLoopbackUrl(url) ? LOCAL : "";
  return `  public address of ${bucket}: ${url ?? "not known before the start, because server.port is 0"}${hint}\n`;
}

const LOCAL = " (this machine only; others need server.baseDomain, or a domain of the bucket)";

const isLoopbackUrl = (url: string) => isLoopbackHost(new URL(url).hostname);

function summary(counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts)
    .map(([plural, count]) => `${count} ${count === 1 ? plural.slice(0, -1) : plural}`)
    .join(", ");
}

function line(value: object): string {
  return `${JSON.stringify(value)}\n`;
}
