// The domains of a bucket, and the mirror source of each.
import { Badge, Card, Empty } from "../parts/parts.tsx";
import { type TextName, t } from "../text/text.ts";
import { ChoiceLeaf, Fields, type Form, formAt, RemoveButton, SecretLeaf, TextLeaf, ToggleLeaf } from "./form.tsx";
import { originName } from "./list.tsx";
import { listAt, textAt, valueAt } from "./tree.ts";

export function Domains({ form }: { readonly form: Form }) {
  const domains = listAt(form.value("domains"), []);
  return (
    <div class="stack">
      {domains.length === 0 && (
        <Empty title={t("noDomains")}>
          <p>{t("noDomainsHint")}</p>
        </Empty>
      )}
      {domains.map((domain, place) => (
        <Domain
          key={place}
          form={formAt(form, ["domains", place])}
          list={form}
          place={place}
          host={textAt(domain, ["host"])}
        />
      ))}
      {!form.isReadOnly && (
        <div>
          <button type="button" onClick={() => form.set(["domains", domains.length], { host: "" })}>
            {t("addDomain")}
          </button>
        </div>
      )}
    </div>
  );
}

interface DomainProps {
  readonly form: Form;
  /** The bucket's form. */
  readonly list: Form;
  readonly place: number;
  readonly host: string;
}

function Domain({ form, list, place, host }: DomainProps) {
  const isRemoved = list.isRemoved(["domains", place]);
  const isMirrored = form.value("mirror") !== undefined;
  const twin = twinOf(list, place);
  const title = host === "*" ? t("everyHost") : host === "" ? t("newDomainTitle") : host;
  return (
    <Card
      title={title}
      actions={
        <>
          {isRemoved && <Badge tone="bad">{t("goes")}</Badge>}
          <RemoveButton form={list} path={["domains", place]} name={title} />
        </>
      }
    >
      <fieldset class="stack" disabled={isRemoved}>
        <legend class="visually-hidden">{title}</legend>
        <Fields>
          <TextLeaf form={form} path={["host"]} label={t("domain")} hint={t("hostHint")} />
        </Fields>
        {twin !== "" && <p class="hint">{t("sameMirror", { host: twin })}</p>}
        {isMirrored ? <Mirror form={formAt(form, ["mirror"])} /> : <p class="hint">{t("noMirrorHint")}</p>}
        {!form.isReadOnly && (
          <div class="row">
            {isMirrored && <AddOrigin form={formAt(form, ["mirror"])} />}
            {isMirrored ? (
              <button type="button" class="quiet" onClick={() => form.set(["mirror"], undefined)}>
                {t("removeMirror")}
              </button>
            ) : (
              <button type="button" onClick={() => form.set(["mirror"], { origins: [{ type: "site", url: "" }] })}>
                {t("addMirror")}
              </button>
            )}
          </div>
        )}
      </fieldset>
    </Card>
  );
}

/** The host of an earlier domain whose mirror source is equal: an alias of YAML may stand for it in the file. */
function twinOf(list: Form, place: number): string {
  const own = JSON.stringify(list.value("domains", place, "mirror"));
  const earlier = listAt(list.value("domains"), []).slice(0, place);
  const twin = earlier.find((each) => own !== undefined && JSON.stringify(valueAt(each, ["mirror"])) === own);
  return textAt(twin, ["host"]);
}

function Mirror({ form }: { readonly form: Form }) {
  const origins = listAt(form.value("origins"), []);
  const rules = listAt(form.value("rules"), []).length;
  const isRevalidated = textAt(form.value("freshness", "mode"), [], "never") !== "never";
  return (
    <>
      <Fields>
        <ChoiceLeaf
          form={form}
          path={["type"]}
          label={t("mirrorType")}
          choices={[
            ["originals", "typeOriginals"],
            ["everything", "typeEverything"],
          ]}
        />
        <ChoiceLeaf
          form={form}
          path={["freshness", "mode"]}
          label={t("freshness")}
          choices={[
            ["never", "freshNever"],
            ["ttl", "freshTtl"],
            ["origin", "freshOrigin"],
          ]}
        />
        {isRevalidated && (
          <TextLeaf
            form={form}
            path={["freshness", "ttl"]}
            label={t("freshTtlField")}
            hint={t("durationHint")}
            placeholder="1d"
          />
        )}
        <TextLeaf
          form={form}
          path={["negativeTtl"]}
          label={t("negativeTtl")}
          hint={t("durationHint")}
          placeholder="30s"
        />
      </Fields>
      {origins.map((origin, place) => (
        <Origin
          key={place}
          form={formAt(form, ["origins", place])}
          mirror={form}
          place={place}
          name={originName(origin)}
        />
      ))}
      {rules > 0 && <p class="hint">{t("hasRules", { count: rules })}</p>}
    </>
  );
}

const NEW_ORIGINS = {
  site: { type: "site", url: "" },
  qiniu: { type: "qiniu", domain: "" },
  s3: { type: "s3", preset: "oss", bucket: "" },
} as const;
const ADD: readonly (readonly [keyof typeof NEW_ORIGINS, TextName])[] = [
  ["site", "addSite"],
  ["qiniu", "addQiniu"],
  ["s3", "addS3"],
];

function AddOrigin({ form }: { readonly form: Form }) {
  const count = listAt(form.value("origins"), []).length;
  return (
    <>
      {ADD.map(([type, name]) => (
        <button key={type} type="button" onClick={() => form.set(["origins", count], NEW_ORIGINS[type])}>
          {t(name)}
        </button>
      ))}
    </>
  );
}

interface OriginProps {
  readonly form: Form;
  readonly mirror: Form;
  readonly place: number;
  readonly name: string;
}

const TYPES: Readonly<Record<string, TextName>> = { site: "typeSite", qiniu: "vendorQiniu", s3: "typeS3" };

function Origin({ form, mirror, place, name }: OriginProps) {
  const type = textAt(form.value("type"), []);
  const title = t("originNumber", { number: place + 1, name: t(TYPES[type] ?? "typeSite") });
  const isRemoved = mirror.isRemoved(["origins", place]);
  return (
    <div class="stack inset">
      <div class="row apart">
        <h3>
          {title} {isRemoved && <Badge tone="bad">{t("goes")}</Badge>}
        </h3>
        <RemoveButton form={mirror} path={["origins", place]} name={name} />
      </div>
      <fieldset disabled={isRemoved}>
        <legend class="visually-hidden">{title}</legend>
        <Fields>
          {type === "site" && <SiteLeaves form={form} />}
          {type === "qiniu" && <QiniuLeaves form={form} />}
          {type === "s3" && <S3Leaves form={form} />}
          <ToggleLeaf form={form} path={["standby"]} label={t("standby")} hint={t("standbyHint")} />
          <ToggleLeaf form={form} path={["allowPrivate"]} label={t("allowPrivate")} hint={t("allowPrivateHint")} />
        </Fields>
      </fieldset>
    </div>
  );
}

function SiteLeaves({ form }: { readonly form: Form }) {
  return (
    <>
      <TextLeaf
        form={form}
        path={["url"]}
        label={t("siteUrl")}
        hint={t("siteUrlHint")}
        placeholder="https://src-img.example.com"
      />
      <TextLeaf form={form} path={["host"]} label={t("hostHeader")} hint={t("hostHeaderHint")} />
      <TextLeaf form={form} path={["referer"]} label={t("refererHeader")} />
    </>
  );
}

function QiniuLeaves({ form }: { readonly form: Form }) {
  const isPrivate = form.value("private") === true;
  return (
    <>
      <TextLeaf form={form} path={["domain"]} label={t("qiniuHost")} hint={t("qiniuHostHint")} />
      <ToggleLeaf form={form} path={["private"]} label={t("isPrivate")} hint={t("isPrivateHint")} />
      {isPrivate && (
        <>
          <TextLeaf form={form} path={["accessKey"]} label="AccessKey" />
          <SecretLeaf form={form} path={["secretKey"]} label="SecretKey" />
        </>
      )}
    </>
  );
}

function S3Leaves({ form }: { readonly form: Form }) {
  return (
    <>
      <ChoiceLeaf
        form={form}
        path={["preset"]}
        label={t("cloud")}
        choices={[
          ["", "none"],
          ["oss", "vendorOss"],
          ["cos", "vendorCos"],
          ["obs", "vendorObs"],
          ["kodo", "vendorKodo"],
          ["upyun", "vendorUpyun"],
          ["aws", "vendorAws"],
          ["b2", "vendorB2"],
          ["minio", "vendorMinio"],
          ["ceph", "vendorCeph"],
        ]}
      />
      <TextLeaf form={form} path={["bucket"]} label={t("remoteBucket")} />
      <TextLeaf form={form} path={["region"]} label={t("cloudRegion")} placeholder="cn-hangzhou" />
      <TextLeaf form={form} path={["endpoint"]} label={t("serviceUrl")} hint={t("serviceUrlHint")} />
      <TextLeaf form={form} path={["accessKeyId"]} label="AccessKey" />
      <SecretLeaf form={form} path={["secretAccessKey"]} label="SecretKey" />
    </>
  );
}
