// The fields of each kind of source. The names are those of a config file's options.
import { useSignal } from "@preact/signals";
import type { ComponentType } from "preact";
import type { BucketsAnswer } from "../../admin/contract/contract.ts";
import { PRESETS } from "../../buckets/page/tree.ts";
import { t as vendorText } from "../../buckets/words.ts";
import { Field, InputField, type Option, Select } from "../../console/parts/fields.tsx";
import { type TextName, t } from "../words.ts";

interface SourceProps extends Pick<BucketsAnswer, "buckets"> {
  /** Folders of the server that may be read. */
  readonly folders: readonly string[];
}

interface Source {
  readonly name: TextName;
  readonly hint: TextName;
  readonly Fields: ComponentType<SourceProps>;
}

/** `migrate.type` of a config, with its words and its fields. `origins`: those of a domain, which need no config. */
export const SOURCES = {
  origins: { name: "sourceOrigins", hint: "sourceOriginsHint", Fields: OriginFields },
  URLList: { name: "sourceList", hint: "sourceListHint", Fields: () => <ListField hint="urlListHint" /> },
  Qiniu: { name: "sourceQiniu", hint: "sourceQiniuHint", Fields: QiniuFields },
  S3: { name: "sourceS3", hint: "sourceS3Hint", Fields: S3Fields },
  Local: { name: "sourceFolder", hint: "sourceFolderHint", Fields: FolderField },
} as const satisfies Readonly<Record<string, Source>>;
export type SourceKind = keyof typeof SOURCES;

const WAYS = [
  ["list", "listPasted"],
  ["sitemap", "listOfSitemap"],
  ["store", "listOfStore"],
] as const;

function OriginFields({ buckets }: SourceProps) {
  const way = useSignal<(typeof WAYS)[number][0]>("list");
  const mirrored = buckets.flatMap(({ bucket, domains }) =>
    domains.flatMap(({ domain, isMirrored }) => (isMirrored ? [{ domain, bucket }] : [])),
  );
  const domain = useSignal(mirrored[0]?.domain);
  if (mirrored.length === 0) return <p class="note warn">{t("noMirroredDomain")}</p>;
  return (
    <>
      <div class="grid">
        <Select
          name={domain.value === "*" ? undefined : "fromOrigin"}
          label={t("domain")}
          options={mirrored.map(({ domain: name, bucket }) => [
            name,
            `${name === "*" ? t("everyOtherHost") : name} → ${bucket}`,
          ])}
          value={domain.value}
          set={(name) => (domain.value = name)}
        />
        {domain.value === "*" && (
          <TextField name="fromOrigin" label={t("hostName")} hint={t("hostNameHint")} placeholder="img.example.com" />
        )}
        <Select
          label={t("listOrSitemap")}
          hint={way.value === "store" ? t("listOfStoreHint") : undefined}
          options={WAYS.map(([name, words]) => [name, t(words)])}
          value={way.value}
          set={(name) => (way.value = name)}
        />
      </div>
      {way.value === "list" && <ListField hint="listHint" />}
      {way.value === "sitemap" && (
        <TextField
          name="sitemap"
          label={t("sitemap")}
          hint={t("sitemapHint")}
          type="url"
          placeholder="https://www.example.com/sitemap.xml"
        />
      )}
    </>
  );
}

function ListField({ hint }: { readonly hint: TextName }) {
  return (
    <Field
      label={t("list")}
      hint={t(hint)}
      control={(properties) => (
        <textarea
          {...properties}
          name="list"
          class="mono"
          rows={6}
          required
          wrap="off"
          spellcheck={false}
          placeholder="https://www.example.com/2015/a.jpg"
        />
      )}
    />
  );
}

function QiniuFields() {
  return (
    <>
      <div class="grid">
        <TextField name="qiniu.bucket" label={t("sourceBucket")} />
        <TextField
          name="qiniu.domain"
          label={t("qiniuDomain")}
          hint={t("qiniuDomainHint")}
          placeholder="http://img.example.com"
        />
        <TextField name="qiniu.AccessKey" label={t("accessKey")} />
        <TextField name="qiniu.SecretKey" label={t("secretKey")} type="password" />
      </div>
      <label class="row one-line">
        <input type="checkbox" name="qiniu.isprivate" value="true" />
        <span>{t("qiniuPrivate")}</span>
      </label>
    </>
  );
}

/** These have no address of their own. */
const WITHOUT_ENDPOINT: readonly string[] = ["", "minio", "ceph"];

function S3Fields() {
  const vendor = useSignal<string>("oss");
  const needsEndpoint = WITHOUT_ENDPOINT.includes(vendor.value);
  return (
    <div class="grid">
      <Select
        name="s3.preset"
        label={t("vendor")}
        options={[...PRESETS.map(([preset, name]): Option => [preset, vendorText(name)]), ["", t("vendorOther")]]}
        value={vendor.value}
        set={(name) => (vendor.value = name)}
      />
      <TextField name="s3.bucket" label={t("sourceBucket")} />
      <TextField name="s3.region" label={t("region")} hint={t("regionHint")} isOptional />
      <TextField
        name="s3.endpoint"
        label={t("endpoint")}
        hint={t(needsEndpoint ? "endpointNeeded" : "endpointHint")}
        type="url"
        isOptional={!needsEndpoint}
      />
      <TextField name="s3.accesskey" label={t("accessKey")} />
      <TextField name="s3.secretkey" label={t("secretKey")} type="password" />
    </div>
  );
}

function FolderField({ folders }: SourceProps) {
  if (folders.length === 0) return <p class="note warn">{t("noFolders")}</p>;
  return (
    <TextField
      name="local.image_root_path"
      label={t("folder")}
      hint={t("folderHint", { folders: folders.join(", ") })}
      defaultValue={folders[0]}
    />
  );
}

interface TextFieldProps extends Omit<Parameters<typeof InputField>[0], "value"> {
  readonly isOptional?: boolean;
}

function TextField({ type = "text", isOptional, ...field }: TextFieldProps) {
  return (
    <InputField
      {...{ type, ...field }}
      class="mono"
      required={isOptional !== true}
      autocomplete={type === "password" ? "new-password" : "off"}
      spellcheck={false}
    />
  );
}
