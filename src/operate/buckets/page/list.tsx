// The list of the buckets: their domains, and where missing images come from.
import type { BucketsAnswer } from "../../admin/contract/contract.ts";
import { get } from "../../console/api.ts";
import { useLoaded } from "../../console/load.ts";
import { Badge, Card, Empty, Page, Show, Table } from "../../console/parts/parts.tsx";
import { Link } from "../../console/router.tsx";
import { listAt, textAt, valueAt } from "../../console/tree.ts";
import type { SettingsState } from "../../settings/contract.ts";
import { SettingsNotes } from "../../settings/page/review.tsx";
import { t } from "../words.ts";
import { placeOf } from "./tree.ts";

export function BucketsPage() {
  const loaded = useLoaded(
    async (signal) => {
      const [{ buckets }, settings] = await Promise.all([
        get<BucketsAnswer>("/buckets", {}, signal),
        get<SettingsState>("/settings", {}, signal),
      ]);
      return { buckets, settings };
    },
    { everyMs: 10_000 },
  );
  const create = (
    <Link class="button primary" href="/buckets/new">
      {t("newBucket")}
    </Link>
  );
  return (
    <Page title={t("buckets")} about={t("bucketsAbout")} actions={create}>
      <Show of={loaded.state} reload={loaded.reload} lines={6}>
        {({ buckets, settings }) => (
          <>
            <SettingsNotes state={settings} />
            {buckets.length === 0 ? (
              <Empty title={t("noBuckets")} hint={t("noBucketsHint")}>
                {create}
              </Empty>
            ) : (
              <Card>
                <Table t={t} head={["bucket", "domains", "mirrorSources", "allowedOperations", "antiLeech"]}>
                  {buckets.map((each) => (
                    <Row key={each.bucket} bucket={each} tree={settings.settings} />
                  ))}
                </Table>
              </Card>
            )}
          </>
        )}
      </Show>
    </Page>
  );
}

interface RowProps {
  readonly bucket: BucketsAnswer["buckets"][number];
  readonly tree: unknown;
}

function Row({ bucket: { bucket, domains }, tree }: RowProps) {
  const settings = valueAt(tree, placeOf(tree, bucket)?.path ?? [""]);
  const sources = new Set(
    listAt(settings, ["domains"]).flatMap((domain) => listAt(domain, ["mirror", "origins"]).map(originName)),
  );
  // A trial has no settings file that could be read.
  const none = tree === undefined ? "–" : t("noMirror");
  const isTokenNeeded = textAt(settings, ["token"]) === "required";
  const hasReferers = textAt(settings, ["referers", "mode"], "off") !== "off";
  return (
    <tr>
      <th scope="row">
        <Link href={`/buckets/one?${new URLSearchParams({ bucket })}`}>{bucket}</Link>
      </th>
      <td class="mono nowrap">
        {domains.map(({ domain }) => (
          <div key={domain}>{domain === "*" ? t("everyHost") : domain}</div>
        ))}
      </td>
      <td class="long mono">
        {sources.size === 0 ? <span class="hint">{none}</span> : [...sources].map((name) => <div>{name}</div>)}
      </td>
      <td>
        {tree === undefined ? "–" : textAt(settings, ["access"]) === "download" ? t("accessDownload") : t("accessBoth")}
      </td>
      <td>
        <div class="row">
          {isTokenNeeded && <Badge tone="plain">{t("token")}</Badge>}
          {hasReferers && <Badge tone="plain">Referer</Badge>}
          {!isTokenNeeded && !hasReferers && "–"}
        </div>
      </td>
    </tr>
  );
}

/** A short name of an origin for people. */
function originName(origin: unknown): string {
  const type = textAt(origin, ["type"]);
  if (type === "s3") return `${textAt(origin, ["preset"], "s3")}: ${textAt(origin, ["bucket"])}`;
  return textAt(origin, [type === "qiniu" ? "domain" : "url"]);
}
