// `huiyuan check`: validates a settings file; prints every fault with its line, or the public address of each bucket.
import { type Command, Option } from "commander";
import { publicBase } from "../../serve/http/response/public-url.ts";
import { publicDomain } from "../../settings/domains.ts";
import { both, type Language } from "../../settings/fault-words.ts";
import { type Fault, formatFault, SettingsFaults } from "../../settings/faults.ts";
import { isLoopbackHost } from "../../settings/hosts.ts";
import { loadSettings, settingsWarnings } from "../../settings/load.ts";
import type { Settings } from "../../settings/schema/schema.ts";
import { type ExitCode, newCommand, type Terminal } from "./terminal.ts";

interface CheckOptions {
  readonly config: string;
  readonly lang: Language;
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
  huiyuan check --config /etc/huiyuan/huiyuan.yaml --json
  huiyuan check --lang zh`;

/** The command. Sets process.exitCode: 0 good, 1 faults; wrong usage throws CommanderError. */
export function checkCommand(terminal: Terminal): Command {
  return newCommand(terminal, "check", HELP)
    .option("-c, --config <file>", "settings file to check", "huiyuan.yaml")
    .addOption(new Option("--lang <language>", "language of the messages").choices(["en", "zh"]).default("en"))
    .option("--json", "print one JSON object", false)
    .action(async (options: CheckOptions) => {
      process.exitCode = await check(options, terminal);
    });
}

async function check({ config, lang, json }: CheckOptions, terminal: Terminal): Promise<ExitCode> {
  const print = (value: object, lines: readonly string[]) =>
    terminal.out.write(`${json ? JSON.stringify(value) : lines.join("\n")}\n`);
  try {
    const settings = await loadSettings(config, { env: process.env });
    const counts = countParts(settings);
    const publicAddresses = publicAddressesOf(settings);
    const warnings = settingsWarnings(settings, lang);
    const addresses = publicAddresses.map((address) => describeAddress(address)[lang]);
    const lines = [...addresses, ...warnings.map((text) => `${WARNING[lang]}${text}`)].map((text) => `  ${text}`);
    print({ ok: true, file: config, ...counts, publicAddresses, warnings }, [summary(config, counts)[lang], ...lines]);
    return 0;
  } catch (error) {
    if (!(error instanceof SettingsFaults)) throw error;
    const faults = error.faults.map((fault) => inLanguage(fault, lang));
    const lines = faults.map((fault) => formatFault(error.file, fault));
    print({ ok: false, file: config, faults }, lines);
    return 1;
  }
}

function inLanguage({ zh, message, ...place }: Fault, lang: Language): Omit<Fault, "zh"> {
  return { ...place, message: lang === "zh" ? zh : message };
}

/** `domains` counts the listed domains, not the default domain that every bucket has. */
function countParts({ projects }: Settings) {
  const buckets = projects.flatMap((project) => project.buckets);
  const domains = buckets.flatMap((bucket) => bucket.domains);
  const origins = domains.flatMap((domain) => domain.mirror?.origins ?? []);
  return { projects: projects.length, buckets: buckets.length, domains: domains.length, origins: origins.length };
}

/** `bucket`: such as `10001234/photos`. `url`: the start of its public URLs; null if the kernel chooses the port. */
function publicAddressesOf({ server, projects }: Settings) {
  return projects.flatMap((project) =>
    project.buckets.map((bucket) => ({
      bucket: `${project.appid}/${bucket.name}`,
      url: publicBase(server, publicDomain(server, project, bucket)) ?? null,
    })),
  );
}

function describeAddress({ bucket, url }: ReturnType<typeof publicAddressesOf>[number]) {
  const isLocal = url !== null && isLoopbackHost(new URL(url).hostname);
  const en = `public address of ${bucket}: ${url ?? "not known before the start, because server.port is 0"}`;
  const zh = `${bucket} 的公开地址：${url ?? "启动前未知，因为 server.port 是 0"}`;
  return isLocal ? both(en + LOCAL.en, zh + LOCAL.zh) : both(en, zh);
}

const LOCAL = both(
  " (this machine only; others need server.baseDomain, or a domain of the bucket)",
  "（仅限本机；其他机器需要设置 server.baseDomain 或空间的域名）",
);
const WARNING = both("warning: ", "警告：");

function summary(file: string, { projects, buckets, domains, origins }: ReturnType<typeof countParts>) {
  const counts = Object.entries({ projects, buckets, domains, origins })
    .map(([plural, count]) => `${count} ${count === 1 ? plural.slice(0, -1) : plural}`)
    .join(", ");
  const zh = `${projects} 个项目，${buckets} 个空间，${domains} 个域名，${origins} 个源站`;
  return both(`${file} is good: ${counts}`, `${file} 没有错误：${zh}`);
}
