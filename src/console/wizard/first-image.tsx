// The wizard's last step: the bucket is in force, so its first image is fetched, and has a URL to copy.
import type { SettingsApplied } from "../answers.ts";
import { trialUrl } from "../buckets/tree.ts";
import { Trial } from "../buckets/trial.tsx";
import { Card } from "../parts/parts.tsx";
import { Link } from "../router.tsx";
import { t } from "../text/text.ts";
import { type Answers, isOnSite, isUploaded, placeOfAnswers } from "./scenarios.ts";

interface FirstImageProps {
  readonly applied: SettingsApplied;
  readonly answers: Answers;
  readonly tree: unknown;
  readonly sample: string;
}

export function FirstImage({ applied, answers, tree, sample }: FirstImageProps) {
  const { appid, name } = placeOfAnswers(answers);
  const bucket = `${appid}/${name}`;
  const isSplit = isUploaded(answers.scenario) && isOnSite(answers.scenario);
  const uploads = isSplit ? `${appid}/${answers.uploadBucket}` : bucket;
  const pageOf = (path: string, of: string) => `${path}?${new URLSearchParams({ bucket: of })}`;
  return (
    <div class="stack">
      <p class={`note ${applied.isInForce ? "good" : "warn"}`} role="status">
        {applied.isInForce ? t("isInForce", { bucket }) : t("isNotInForce")}
      </p>
      <Card title={t("tryIt")} about={t("tryItAbout")}>
        <Trial bucket={bucket} sample={sample} url={(key) => trialUrl(tree, { appid, name }, key)} />
      </Card>
      <Card title={t("whatNext")}>
        <ul>
          {answers.host !== "" && <li>{t("nextDns", { host: answers.host })}</li>}
          {isUploaded(answers.scenario) && (
            <li>
              {t("nextUpload")} <Link href={pageOf("/images", uploads)}>{t("upload")}</Link>
            </li>
          )}
          <li>
            {t("nextSettings")} <Link href={pageOf("/buckets/one", bucket)}>{bucket}</Link>
          </li>
        </ul>
      </Card>
    </div>
  );
}
