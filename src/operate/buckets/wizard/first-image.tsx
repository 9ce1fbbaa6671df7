// The wizard's last step: the bucket is in force, so its first image is fetched, and has a URL to copy.
import { useSignal } from "@preact/signals";
import { Card, Copied, Page } from "../../console/parts/parts.tsx";
import { Link } from "../../console/router.tsx";
import type { SettingsApplied } from "../../settings/contract.ts";
import { downloadCommand, keyOf, TestImage, UploadCommand } from "../page/test-image.tsx";
import { defaultDomain, testUrl } from "../page/tree.ts";
import { t } from "../words.ts";
import { type Answers, isOnSite, isUploaded, placeOfAnswers } from "./scenarios.ts";

export interface FirstImageProps {
  readonly applied: SettingsApplied;
  readonly answers: Answers;
  readonly tree: unknown;
  readonly sample: string;
}

export function FirstImagePage({ applied: { isInForce }, answers, tree, sample }: FirstImageProps) {
  const place = placeOfAnswers(answers);
  const bucket = `${place.appid}/${place.name}`;
  const hasUploads = isUploaded(answers.scenario);
  const isSplit = hasUploads && isOnSite(answers.scenario);
  const uploads = isSplit ? `${place.appid}/${answers.uploadBucket}` : bucket;
  const host = answers.host || defaultDomain(tree, place);
  const typed = useSignal(keyOf(sample));
  const url = (key: string) => testUrl(tree, place, key);
  const tried = new URL(url(keyOf(typed.value) || "2015/a.jpg"));
  tried.hostname = host;
  const download = downloadCommand(tree, tried.href);
  const pageOf = (path: string, of: string) => `${path}?${new URLSearchParams({ bucket: of })}`;
  return (
    <Page title={isInForce ? t("ready", { host }) : t("newBucket")}>
      <p class={`note ${isInForce ? "good" : "warn"}`} role="status">
        {!isInForce ? t("isNotInForce") : t(isSplit ? "areInForce" : "isInForce", { bucket, uploads })}
      </p>
      <Card title={t("tryIt")} about={t("tryItAbout")}>
        <TestImage bucket={bucket} typed={typed} url={url} needsToken={false} />
      </Card>
      <Card title={t("whatNext")}>
        <ul>
          {answers.host !== "" && (
            <li>
              {t("nextDns", { host })}
              <Copied text={download} />
            </li>
          )}
          {hasUploads && (
            <li>
              {t("nextUpload")}
              <Link href={pageOf("/images", uploads)}>{t("upload")}</Link>
            </li>
          )}
          <li>
            {t("nextSettings")}
            <Link href={pageOf("/buckets/one", bucket)}>{bucket}</Link>
          </li>
        </ul>
      </Card>
      {hasUploads && (
        <UploadCommand bucket={uploads} tree={tree} download={answers.host === "" ? download : undefined} />
      )}
    </Page>
  );
}
