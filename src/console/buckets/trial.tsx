// An image of a bucket, fetched if the bucket lacks it, and signed URLs to copy.
import { useSignal } from "@preact/signals";
import type { SignAnswer } from "../answers.ts";
import { get, Problem, post, urlOf } from "../api.ts";
import { useCall } from "../load.ts";
import { CopyButton, ProblemNote } from "../parts/parts.tsx";
import { t } from "../text/text.ts";
import { TextField } from "./inputs.tsx";

interface TrialProps {
  readonly bucket: string;
  readonly sample: string;
  readonly url: (key: string) => string;
}

interface Shown {
  readonly key: string;
  readonly signed: string;
  readonly publicUrl: string;
}

/** `sample` may be a URL of the origin: its path is the key. */
export function keyOf(sample: string): string {
  const { pathname, search } = URL.canParse(sample) ? new URL(sample) : { pathname: sample, search: "" };
  return `${URL.canParse(sample) ? decodeURIComponent(pathname) : pathname}${search}`.replace(/^\/+/, "");
}

export function Trial({ bucket, sample, url }: TrialProps) {
  const key = useSignal(keyOf(sample));
  const shown = useSignal<Shown | undefined>(undefined);
  const { problem, run } = useCall();
  const sign = async () => {
    const [path, query] = key.value.split(/\?(.*)/s, 2);
    const [own, listed] = await Promise.all([
      post<SignAnswer>("/sign", { bucket, url: url(key.value) }),
      post<SignAnswer>("/sign", { bucket, key: path, instruction: query }),
    ]);
    shown.value = { key: key.value, signed: own.url ?? "", publicUrl: listed.url ?? "" };
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
    <form
      class="stack"
      onSubmit={(event) => {
        event.preventDefault();
        void run(sign);
      }}
    >
      <TextField
        label={t("imageKey")}
        hint={t("imageKeyHint")}
        value={key.value}
        set={(value) => {
          key.value = value.replace(/^\/+/, "");
        }}
        more={{ required: true, placeholder: "2015/a.jpg", class: "mono" }}
      />
      <div>
        <button type="submit" class="primary">
          {t("fetchAndSign")}
        </button>
      </div>
      {problem.value !== undefined && <ProblemNote problem={problem.value} />}
      {shown.value !== undefined && (
        <>
          <div class="preview">
            <img
              src={urlOf("/objects/image", { bucket, key: shown.value.key, fetch: true })}
              alt={shown.value.key}
              onError={() => void explain(shown.value?.key ?? "")}
            />
          </div>
          <SignedUrl label={t("trialUrl")} url={shown.value.signed} />
          {hostOf(shown.value.publicUrl) !== hostOf(shown.value.signed) && (
            <SignedUrl label={t("publicUrl")} url={shown.value.publicUrl} />
          )}
        </>
      )}
    </form>
  );
}

const hostOf = (url: string) => (URL.canParse(url) ? new URL(url).hostname : "");

function SignedUrl({ label, url }: { readonly label: string; readonly url: string }) {
  return (
    <div>
      <h3>{label}</h3>
      <p>
        <a href={url} target="_blank" rel="noreferrer">
          <code>{url}</code>
        </a>
        <CopyButton text={url} about={label} />
      </p>
    </div>
  );
}
