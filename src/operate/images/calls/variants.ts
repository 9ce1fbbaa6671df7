// The admin API call that lists the stored processed images of an original. The name of a variant is a hash of its
// recipe; only the recipes of the bucket's aliases are known by their names.
import { HuiyuanError } from "../../../core/errors.ts";
import { MEDIA_TYPES, toKey } from "../../../core/object.ts";
import type { Site } from "../../../serve/http/request/site.ts";
import { canonicalText } from "../../../serve/image/grammar/canonical-text.ts";
import type { Calls } from "../../admin/calls.ts";
import { bucketNamed, type Domains } from "../../admin/naming.ts";
import { listVariants } from "../contract.ts";

export function addVariantsCall(calls: Calls, { registry }: { readonly registry: Domains }): void {
  calls.add(listVariants, async (context, input) => {
    const { bucketId, bucket } = bucketNamed(input.bucket, registry);
    const [site] = registry.buckets().get(bucketId) ?? [];
    const key = toKey(input.key);
    const entry = await bucket.lookup(key);
    if (entry.state === "absent" && entry.failure !== undefined) throw entry.failure;
    if (entry.state !== "object" || site === undefined)
      throw new HuiyuanError("not_found", `there is no object "${key}" in ${bucketId}`);
    const { after, limit } = input;
    const page = await site.variants.list(entry.info, { after, limit, signal: context.req.raw.signal });
    const aliases = aliasesByVariant(site);
    const variants = page.variants.map(({ name, info: { image, size, storedAt } }) => ({
      ...{ name, ...aliases.get(name), format: image.format, mediaType: MEDIA_TYPES[image.format] },
      ...{ width: image.width, height: image.height, size, storedAt: new Date(storedAt).toISOString() },
    }));
    return context.json({ bucket: bucketId, key, sha256: entry.info.hashes.sha256, variants, next: page.next });
  });
}

/** By the name of the variant. Aliases with image watermarks never match: the name has the watermark's bytes too. */
function aliasesByVariant({ aliases }: Site): ReadonlyMap<string, { readonly alias: string; readonly recipe: string }> {
  const formats = ["autoAvif", "autoWebp", "autoPlain"] as const;
  const recipesOf = (named: Site["styles"][number]) => formats.map((format) => named.negotiated?.(format) ?? named);
  return new Map(
    [...aliases].flatMap(([alias, named]) =>
      recipesOf(named).map(({ name, recipe }) => [name, { alias, recipe: canonicalText(recipe) }] as const),
    ),
  );
}
