// An image of a bucket, fetched if the bucket lacks it, with its URLs to copy; and a command that uploads one.
import { type Signal, useSignal } from "@preact/signals";
import { get, Problem, post, urlOf } from "../../console/api.ts";
import { submitting, useCall, useLoaded } from "../../console/load.ts";
import { TextField } from "../../console/parts/fields.tsx";
import { Button, Card, Copied, ProblemNote, Show } from "../../console/parts/parts.tsx";
import { textAt } from "../../console/tree.ts";
import type { SignAnswer } from "../../signing/contract.ts";
import { t } from "../words.ts";

interface TestImageProps {
  readonly bucket: string;
  readonly typed: Signal<string>;
  /** By the default domain. */
  readonly url: (key: string) => string;
  readonly needsToken: boolean;
}

interface Shown {
  readonly key: string;
  readonly signed: string;
  readonly publicUrl: string;
}

/** `sample` may be a whole URL: its path is the key, and its token is left out. */
export function keyOf(sample: string): string {
  if (!/^https?:\/\//i.test(sample) || !URL.canParse(sample)) return sample.replace(/^\/+/, "");
  const { pathname, search } = new URL(sample);
  return `${decoded(pathname)}${unsigned(search)}`.replace(/^\/+/, "");
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path; // Not UTF-8, as some old sites have it.
  }
}

/** The signer appends the token. */
const unsigned = (url: string) => url.replace(/[?&]sign=[^&]*$/, "");

export function TestImage({ bucket, typed, url, needsToken }: TestImageProps) {
  const shown = useSignal<Shown | undefined>(undefined);
  const { problem, run } = useCall();
  const sign = async () => {
    typed.value = keyOf(typed.value);
    const [path, query] = typed.value.split(/\?(.*)/s, 2);
    const [own, listed] = await Promise.all([
      post<SignAnswer>("/sign", { bucket, url: url(typed.value) }),
      post<SignAnswer>("/sign", { bucket, key: path, instruction: query }),
    ]);
    shown.value = { key: typed.value, signed: own.url ?? "", publicUrl: listed.url ?? "" };
  };
  /** An image says only that it failed; the same call says why. */
  const explain = async (failed: string) => {
    shown.value = undefined;
    try {
      await get("/objects/image", { bucket, key: failed, fetch: true });
    } catch (error) {
      problem.value = error instanceof Problem ? error : new Problem(400, { message: t("firstImageFailed") });
    }
  };
  return (
    <form class="stack" onSubmit={submitting(() => run(sign))}>
      <TextField
        label={t("imageKey")}
        hint={t("imageKeyHint")}
        value={typed.value}
        set={(value) => (typed.value = value.replace(/^\/+/, ""))}
        more={{ required: true, placeholder: "2015/a.jpg", class: "mono" }}
      />
      <div>
        <Button label={t(needsToken ? "fetchAndSign" : "fetch")} class="primary" />
      </div>
      {problem.value !== undefined && <ProblemNote problem={problem.value} />}
      {shown.value !== undefined && (
        <>
          <div class="preview low">
            <img
              src={urlOf("/objects/image", { bucket, key: shown.value.key, fetch: true })}
              alt={shown.value.key}
              onError={() => void explain(shown.value?.key ?? "")}
            />
          </div>
          <Urls shown={shown.value} needsToken={needsToken} />
        </>
      )}
    </form>
  );
}

interface UrlsProps {
  readonly shown: Shown;
  readonly needsToken: boolean;
}

function Urls({ shown: { signed, publicUrl }, needsToken }: UrlsProps) {
  const { hostname, port } = new URL(signed);
  const { hostname: host } = new URL(publicUrl);
  const hasDomain = host !== hostname;
  const signedUrls = (
    <div class="stack">
      <Copied about={t("testUrl")} text={signed} isLink />
      {hasDomain && <Copied about={t("publicUrl")} text={publicUrl} isLink />}
    </div>
  );
  return (
    <>
      {!needsToken && <Copied about={t("plainUrl")} text={unsigned(publicUrl)} isLink />}
      {!needsToken && hasDomain && <Copied about={t("plainTrialUrl", { host })} text={unsigned(signed)} isLink />}
      {hostname.endsWith(".localhost") && <p class="hint">{t("testDomain", { host: hostname, port: port || "80" })}</p>}
      {needsToken ? (
        signedUrls
      ) : (
        <details>
          <summary>{t("signedUrls")}</summary>
          {signedUrls}
        </details>
      )}
    </>
  );
}

/** A command that saves an image of the bucket as a.jpg. `url`: by a domain that need not point to the server yet. */
export function downloadCommand(tree: unknown, url: string): string {
  const { hostname, pathname, search } = new URL(url);
  return `curl -o a.jpg -H 'Host: ${hostname}' '${serverOf(tree)}${`${pathname}${search}`.replaceAll("'", "%27")}'`;
}

const serverOf = (tree: unknown) => `http://${location.hostname}:${textAt(tree, ["server", "port"], "8080")}`;

interface UploadCommandProps {
  readonly bucket: string;
  readonly tree: unknown;
  /** The command that saves the image to upload. */
  readonly download?: string | undefined;
}

/** The REST API's upload of one file, with a token for it. */
export function UploadCommand({ bucket, tree, download }: UploadCommandProps) {
  const input = { operation: "upload", bucket, expiresIn: 3_600 };
  const signed = useLoaded((signal) => post<SignAnswer>("/sign", input, signal));
  const target = `${serverOf(tree)}/photos/v2/${bucket}/0/new.jpg`;
  return (
    <Card title={t("programUploads")} about={t("programUploadsAbout")}>
      <Show of={signed.state} reload={signed.reload} lines={2}>
        {({ token }) => (
          <Copied
            text={[download ?? [], `curl -H 'Authorization: QCloud ${token}' -F FileContent=@a.jpg ${target}`]
              .flat()
              .join("\n")}
          />
        )}
      </Show>
    </Card>
  );
}
