// The wizard's last step: the bucket is in force, so its first image is fetched, and has a URL to copy.
import type { SettingsApplied, SignAnswer } from "../answers.ts";
import { post } from "../api.ts";
import { textAt, trialUrl } from "../buckets/tree.ts";
import { keyOf, Trial } from "../buckets/trial.tsx";
import { useLoaded } from "../load.ts";
import { Card, CopyButton, Show } from "../parts/parts.tsx";
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
  const server = `http://${location.hostname}:${textAt(tree, ["server", "port"], "8080")}`;
  const pageOf = (path: string, of: string) => `${path}?${new URLSearchParams({ bucket: of })}`;
  return (
    <div class="stack">
      <p class={`note ${applied.isInForce ? "good" : "warn"}`} role="status">
        {applied.isInForce ? t("isInForce", { bucket }) : t("isNotInForce")}
      </p>
      <Card title={t("tryIt")} about={t("tryItAbout")}>
        <Trial bucket={bucket} sample={sample} url={(key) => trialUrl(tree, { appid, name }, key)} />
      </Card>
      {isUploaded(answers.scenario) && (
        <Card title={t("programUploads")} about={t("programUploadsAbout")}>
          <UploadCommand bucket={uploads} server={server} />
        </Card>
      )}
      <Card title={t("whatNext")}>
        <ul>
          {answers.host !== "" && (
            <li>
              {t("nextDns", { host: answers.host })}
              <Command text={`curl -o a.jpg -H 'Host: ${answers.host}' '${server}/${keyOf(sample) || "2015/a.jpg"}'`} />
            </li>
          )}
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

/** The REST API's upload of one file, with a token for it. */
function UploadCommand({ bucket, server }: { readonly bucket: string; readonly server: string }) {
  const input = { operation: "upload", bucket, expiresIn: 3_600 };
  const signed = useLoaded((signal) => post<SignAnswer>("/sign", input, signal));
  return (
    <Show of={signed.state} reload={signed.reload} lines={2}>
      {({ token }) => (
        <Command
          text={`curl -H 'Authorization: QCloud ${token}' -F FileContent=@new.jpg ${server}/photos/v2/${bucket}/0/new.jpg`}
        />
      )}
    </Show>
  );
}

function Command({ text }: { readonly text: string }) {
  return (
    <div>
      <pre>{text}</pre>
      <CopyButton text={text} />
    </div>
  );
}
