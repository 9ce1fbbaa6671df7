// The first page: what needs an operator, and what the server does now.
import { useComputed } from "@preact/signals";
import { get } from "../../console/api.ts";
import { useLoaded } from "../../console/load.ts";
import { Badge, Card, Empty, Figure, Page, Show, type Tone } from "../../console/parts/parts.tsx";
import { isTrial, Link } from "../../console/router.tsx";
import { ago, bytes, count } from "../../console/text/format.ts";
import type { OverviewAnswer } from "../contract.ts";
import { attentionText, type TextName, t } from "../words.ts";
import { isConnected, LiveFiguresRow, LivePlots, LiveTables, moments, useLive } from "./live-figures.tsx";

export function OverviewPage() {
  useLive();
  const overview = useLoaded((signal) => get<OverviewAnswer>("/overview", {}, signal), { everyMs: 10_000 });
  const about = useComputed(() => {
    const { version, startedAt } = overview.state.value.value ?? {};
    return startedAt === undefined ? t("loading") : t("startedAt", { version: version ?? "", when: ago(startedAt) });
  });
  return (
    <Page title={t("overview")} about={about.value} actions={<Connection />}>
      <Show of={overview.state} reload={overview.reload} lines={12}>
        {(answer) => (
          <>
            {answer.buckets === 0 ? <NoBucket /> : answer.stored?.objects === 0 && !isTrial && <FirstSteps />}
            <AttentionCard attention={answer.attention} />
            <div class="card stack">
              <dl class={`figures ${isConnected.value ? "" : "is-stale"}`}>
                <LiveFiguresRow />
              </dl>
              <dl class="figures">
                <Stored answer={answer} />
              </dl>
            </div>
            <div class={`shown ${isConnected.value ? "" : "is-stale"}`}>
              <LivePlots />
            </div>
            <div class={`halves ${isConnected.value ? "" : "is-stale"}`}>
              <LiveTables />
            </div>
          </>
        )}
      </Show>
    </Page>
  );
}

/** Whether the figures are of this second. */
function Connection() {
  const state = isConnected.value ? "isLive" : moments.value.length === 0 ? "isConnecting" : "isOld";
  const tones: Readonly<Record<typeof state, Tone>> = { isLive: "good", isConnecting: "plain", isOld: "warn" };
  return (
    <span class="either" role="status">
      {(["isLive", "isConnecting", "isOld"] as const).map((name) => (
        <span key={name} class={name === state ? "" : "absent"}>
          <Badge tone={tones[name]}>{t(name)}</Badge>
        </span>
      ))}
    </span>
  );
}

function NoBucket() {
  return (
    <Card>
      <Empty title={t("noBuckets")} hint={t("noBucketsHint")}>
        <Link class="button primary" href="/buckets/new">
          {t("newBucket")}
        </Link>
      </Empty>
    </Card>
  );
}

const STEPS = [
  ["upload", "firstUpload", "images"],
  ["migrations", "firstMigration", "migrations"],
] as const;

function FirstSteps() {
  return (
    <Card title={t("firstImage")} about={t("firstImageAbout")}>
      <ol class="steps">
        <li>
          <Badge tone="plain">{t("download")}</Badge>
          <div>
            <p>{t("firstDownload")}</p>
            <code>curl -O http://DOMAIN/KEY</code>
          </div>
        </li>
        {STEPS.map(([name, words, page]) => (
          <li key={name}>
            <Badge tone="plain">{t(name)}</Badge>
            <div>
              <p>{t(words)}</p>
              <Link href={`/${page}`}>{t(page)}</Link>
            </div>
          </li>
        ))}
      </ol>
    </Card>
  );
}

type Attention = OverviewAnswer["attention"][number];

const SEVERITIES: Readonly<Record<Attention["severity"], readonly [Tone, TextName]>> = {
  critical: ["bad", "isCritical"],
  warning: ["warn", "isWarning"],
  info: ["plain", "isInfo"],
};
/** Names of the pages that an entry may name, by the first part of the path. */
const PAGES = ["buckets", "images", "origins", "migrations", "logs"] as const;

function AttentionCard({ attention }: { readonly attention: readonly Attention[] }) {
  return (
    <Card title={t("attention")} actions={attention.length === 0 && <Badge tone="good">{t("allIsWell")}</Badge>}>
      {attention.length > 0 && (
        <ul class="attention">
          {attention.map((each) => (
            <li key={`${each.code} ${each.message}`}>
              <Badge tone={SEVERITIES[each.severity][0]}>{t(SEVERITIES[each.severity][1])}</Badge>
              <div>
                <p title={each.code}>{attentionText(each)}</p>
                <div class="row hint">
                  {each.mend.page !== undefined && <MendingPage page={each.mend.page} />}
                  {each.mend.command !== undefined && <code>{each.mend.command}</code>}
                </div>
              </div>
            </li>
          ))}
        </ul>
      )}
    </Card>
  );
}

/** The page of the server's readiness is none of the console's. */
function MendingPage({ page }: { readonly page: string }) {
  const { pathname } = new URL(page, location.href);
  const name = PAGES.find((each) => each === pathname.split("/")[1]);
  return name === undefined ? <a href={page}>{pathname}</a> : <Link href={page}>{t(name)}</Link>;
}

const BACKUPS: Readonly<Record<NonNullable<OverviewAnswer["backup"]>["outcome"], TextName>> = {
  succeeded: "backupSucceeded",
  damaged: "backupDamaged",
  failed: "backupFailed",
  unfinished: "backupUnfinished",
};

function Stored({ answer: { stored, backup, buckets } }: { readonly answer: OverviewAnswer }) {
  return (
    <>
      <Figure name={t("buckets")} value={count(buckets)} />
      <Figure
        name={t("objects")}
        value={stored && count(stored.objects)}
        hint={stored === undefined ? t("notCounted") : ""}
      />
      <Figure name={t("storedBytes")} value={stored && bytes(stored.bytes)} />
      {!isTrial && (
        <Figure
          name={t("lastBackup")}
          value={backup === undefined ? t("none") : ago(backup.at)}
          hint={backup === undefined ? t("backupHint") : t(BACKUPS[backup.outcome])}
        />
      )}
    </>
  );
}
