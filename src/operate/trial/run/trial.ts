// Does the work of the page of `huiyuan try`: measures the mirror's answers, stops the sample site, and puts another
// site behind the mirror. ../document.ts writes the page.
import { setTimeout as delay } from "node:timers/promises";
import { asHuiyuanError } from "../../../core/errors.ts";
import { type Key, MEDIA_TYPES } from "../../../core/object.ts";
import type { ProbeReply } from "../../../serve/origin/kinds/probe.ts";
import { isLoopbackHost } from "../../../settings/hosts.ts";
import { findPictures, type HomePage, isPrivateOrigin, MAX_PICTURES, readPicture } from "../../doctor/find-pictures.ts";
import type { Fault } from "../words.ts";
import { readAddress } from "./address.ts";
import { type Form, isForm, suffixOf } from "./forms.ts";
import type { SamplePicture, SampleSite } from "./sample-site.ts";
import {
  isFetched,
  isImage,
  type Measured,
  medianMsOf,
  type TimedAnswer,
  timedRequest,
  waitUntilStored,
} from "./timed-request.ts";
import { APPID, type ChosenSite, FIRST_BUCKET } from "./trial-settings.ts";
import type { FirstRequests } from "./try-report.ts";

/** The site behind the mirror. */
export interface TrialSite extends HomePage {
  readonly url: string;
  readonly isPrivate: boolean;
}

export interface TrialOptions {
  readonly site: TrialSite;
  readonly sample: { readonly server: SampleSite; readonly pictures: readonly SamplePicture[] } | undefined;
  /** Absolute URL of a picture at the mirror. */
  readonly mirrorUrl: (key: Key) => string;
  /** Puts the site behind the mirror. Throws settings_invalid. */
  readonly mirror: (site: ChosenSite) => void;
  /** Ports of this trial: a mirror of itself would never answer. */
  readonly ownPorts: () => readonly number[];
}

/** The work behind the page. */
export type Trial = ReturnType<typeof createTrial>;
/** The figures and pictures of the page. */
export type TrialView = Awaited<ReturnType<Trial["view"]>>;
export type TrialPicture = TrialView["pictures"][number];

/** Measured answers of the mirror to requests for each form. */
type Answers = Partial<Record<Form, Record<"first" | "again", Measured | undefined>>>;

/** The result of a form of the page. */
export interface Outcome {
  /** Why it was refused. */
  readonly fault?: Fault | undefined;
  /** Key of the picture that was named. */
  readonly picture?: Key | undefined;
}

/** The answers of the mirror to requests for one form. */
interface Asked {
  readonly first: Promise<TimedAnswer>;
  done?: TimedAnswer;
  hits: readonly TimedAnswer[];
}

/** A picture of the site, with all that was measured. */
interface Shown {
  readonly key: Key;
  readonly forms: Map<Form, Asked>;
  direct: readonly Measured[];
}

const FIRST_REQUESTS_MS = 10_000;
/** For one request of a slow site. */
const DEADLINE_MS = 60_000;
/** For all stored images of a page, which is there in a second. */
const HITS_MS = 700;
/** From the last byte of the first picture until the mirror has stored it, at most. */
const STORED_MS = 3_000;
const STOP_MS = 20_000;
/** Answers before the last one that a median counts. */
const MOST_KEPT = 14;
const NO_ANSWER = { status: 0, isWhole: false, bytes: 0, milliseconds: 0, cacheStatus: "" };

export function createTrial(options: TrialOptions) {
  const { sample, mirrorUrl } = options;
  const shownOf = (key: Key): Shown => ({ key, forms: new Map(), direct: [] });
  const openSite = (site: TrialSite, bucket: string) => ({ site, bucket, pictures: site.pictures.map(shownOf) });
  const first = openSite(options.site, FIRST_BUCKET);
  let current = first;
  let sites = 1;

  const sampleNow = () => (current === first ? sample?.server : undefined);
  const find = (key: string) => current.pictures.find((picture) => picture.key === key);
  const urlOf = (key: Key, form: Form) => mirrorUrl(key) + suffixOf(form, mirrorUrl(current.site.pictures[2] ?? key));

  /** Rejects for a picture of a former site, which the mirror would look for at the present one. */
  async function send(picture: Shown, form: Form, signal: AbortSignal): Promise<TimedAnswer> {
    if (!current.pictures.includes(picture)) throw new Error("another site is mirrored");
    return timedRequest(urlOf(picture.key, form), signal);
  }

  /** The first answer. A failed one is asked for again. */
  function ask(picture: Shown, form: Form): Asked {
    const earlier = picture.forms.get(form);
    if (earlier !== undefined && (earlier.done === undefined || isImage(earlier.done))) return earlier;
    const request = () => send(picture, form, AbortSignal.timeout(DEADLINE_MS)).catch(() => NO_ANSWER);
    // The first request for an original must be its own, so that it is the miss.
    const watermark = form === "watermark" ? find(current.site.pictures[2] ?? "") : undefined;
    const originals =
      form === "original" ? [] : [picture, watermark ?? picture].map((each) => ask(each, "original").first);
    const asked: Asked = { first: Promise.all(originals).then(request), hits: [] };
    void asked.first.then((answer) => {
      asked.done = answer;
    });
    picture.forms.set(form, asked);
    return asked;
  }

  async function askAgain(picture: Shown, form: Form, asked: Asked, signal: AbortSignal): Promise<void> {
    const answer = await send(picture, form, signal).catch(() => undefined);
    if (answer !== undefined) asked.hits = [...asked.hits.slice(-MOST_KEPT), answer];
  }

  async function askOrigin({ url, isPrivate }: TrialSite, picture: Shown): Promise<ProbeReply | undefined> {
    const reply = await readPicture(url, isPrivate, picture.key);
    const isWhole = reply?.verdict === "whole" || reply?.verdict === "suspect";
    const milliseconds = (reply?.headMs ?? 0) + (reply?.bodyMs ?? 0);
    const answer = reply ? { status: reply.status, isWhole, bytes: reply.bytes, milliseconds } : NO_ANSWER;
    picture.direct = [...picture.direct.slice(-MOST_KEPT), answer];
    return isWhole ? reply : undefined;
  }

  function viewOf({ key, direct, forms }: Shown) {
    const named = sample?.pictures.find(({ name }) => current === first && `images/${name}` === key);
    const name = key.slice(key.lastIndexOf("/") + 1);
    const measured = [...forms].map(([form, { done, hits }]) => {
      // Another client may have asked before.
      const isFirst = form === "original" ? isFetched(done) : isImage(done);
      return [form, { first: isFirst || !isImage(done) ? done : undefined, again: typicalOf(hits) }] as const;
    });
    return {
      key,
      title: { en: named?.title ?? name, zh: named?.titleZh ?? name },
      /** Absolute URL at the mirror. */
      urlOf: (form: Form) => urlOf(key, form),
      /** The last answer of the origin itself, with the median time of the last few. */
      direct: typicalOf(direct),
      /** The first answers, whose images the mirror had to fetch or to make, and the last ones, with median times. */
      forms: Object.fromEntries(measured) as Answers, // keys are forms
    };
  }

  async function isStored(picture: Shown): Promise<boolean> {
    return isImage(await ask(picture, "original").first) && waitUntilStored(urlOf(picture.key, "original"), STOP_MS);
  }

  /** Mirrors a site that was not mirrored before. */
  async function change(url: string, picture: Key | undefined): Promise<Fault | undefined> {
    if (options.ownPorts().some((port) => isOnThisMachine(url, port))) return (t) => t("itself");
    const isPrivate = await isPrivateOrigin(url);
    const { pictures: found, trouble } = await findPictures(url, isPrivate);
    const pictures = [...new Set([...(picture === undefined ? [] : [picture]), ...found])].slice(0, MAX_PICTURES);
    if (trouble !== undefined) return (t) => t("noSite", { site: url, why: trouble });
    if (pictures.length === 0) return (t) => t("noneFound", { site: url });
    sites += 1;
    const bucket = `${FIRST_BUCKET}-${sites}`;
    try {
      options.mirror({ originUrl: url, isPrivate, bucket });
    } catch (error) {
      return (t) => t("refused", { why: asHuiyuanError(error).message });
    }
    current = openSite({ url, isPrivate, trouble, pictures }, bucket);
    return undefined;
  }

  return {
    /** Measures each stored picture once more. */
    async view() {
      const { site, pictures } = current;
      const signal = AbortSignal.timeout(HITS_MS);
      // One after another, so that nothing else slows a hit.
      for (const picture of pictures)
        for (const [form, asked] of picture.forms)
          if (isImage(asked.done)) await askAgain(picture, form, asked, signal);
      const server = sampleNow();
      return {
        siteUrl: site.url,
        /** Why the site did not answer, and what to do. */
        trouble: site.trouble,
        pictures: pictures.map(viewOf),
        /** The switch of the sample site, which waits before each answer; undefined for other sites. */
        origin: server && { isStopped: server.isStopped(), requests: server.requests(), delayMs: server.delayMs },
        /** There is a sample site to go back to. */
        hasSample: sample !== undefined,
      };
    },
    /** Path on the admin port of an image that the mirror has served; undefined: it served none. */
    async picture(key: string, form: string): Promise<string | undefined> {
      const picture = find(key);
      if (picture === undefined || !isForm(form)) return undefined;
      const { bucket } = current;
      if (!isImage(await ask(picture, form).first)) return undefined;
      const suffix = suffixOf(form, mirrorUrl(current.site.pictures[2] ?? picture.key)).slice(1);
      const query = new URLSearchParams({ bucket: `${APPID}/${bucket}`, key, ...(suffix && { instruction: suffix }) });
      return `/api/v1/objects/image?${query}`;
    },
    /** The picture as the origin sends it; undefined: it sent none. */
    async original(key: string) {
      const picture = find(key);
      if (picture === undefined) return undefined;
      const { site } = current;
      const reply = await askOrigin(site, picture);
      if (reply?.image === undefined) return undefined;
      void askOrigin(site, picture).then(() => askOrigin(site, picture)); // for the median
      return { mediaType: MEDIA_TYPES[reply.image.format], bytes: reply.beginning };
    },
    /** Stops the sample site once the mirror has all pictures. */
    async stop(): Promise<Outcome> {
      const server = sampleNow();
      if (server === undefined || server.isStopped()) return {};
      const total = first.pictures.length;
      const stored = (await Promise.all(first.pictures.map(isStored))).filter(Boolean).length;
      if (stored < total) return { fault: (t) => t("stopIncomplete", { stored, total }) };
      server.setStopped(true);
      return {};
    },
    async resume(): Promise<Outcome> {
      sampleNow()?.setStopped(false);
      return {};
    },
    /** Mirrors the named site from now on. Empty text: the sample site. */
    async use(text: string): Promise<Outcome> {
      if (text.trim() === "" && sample !== undefined) {
        const { url: originUrl, isPrivate } = first.site;
        options.mirror({ originUrl, isPrivate, bucket: first.bucket });
        current = first;
        return {};
      }
      const address = readAddress(text, current.site.url);
      if ("fault" in address) return address;
      const { url, picture } = address;
      if (url !== current.site.url) {
        const fault = await change(url, picture);
        if (fault !== undefined) return { fault };
      } else if (picture !== undefined && find(picture) === undefined)
        current.pictures = [shownOf(picture), ...current.pictures].slice(0, MAX_PICTURES);
      return { picture };
    },
    /** The first miss and hit; undefined if no picture is known, or if it does not arrive within 10 s. */
    async firstRequests(): Promise<FirstRequests | undefined> {
      const [picture] = current.pictures;
      if (picture === undefined) return undefined;
      const asked = ask(picture, "original");
      const answer = await Promise.race([asked.first, delay(FIRST_REQUESTS_MS, undefined, { ref: false })]);
      if (answer === undefined || answer === NO_ANSWER) return undefined;
      if (isImage(answer)) await waitUntilStored(urlOf(picture.key, "original"), STORED_MS);
      await askAgain(picture, "original", asked, AbortSignal.timeout(DEADLINE_MS));
      return { first: answer, second: asked.hits.at(-1) ?? NO_ANSWER };
    },
  };
}

/** The last answer; that of an image has the median time of all images. */
function typicalOf(answers: readonly Measured[]): Measured | undefined {
  const last = answers.at(-1);
  return isImage(last) ? { ...last, milliseconds: medianMsOf(answers.filter(isImage)) } : last;
}

/** True if `url` names this port of this machine. */
export function isOnThisMachine(url: string, port: number): boolean {
  const { hostname, port: named, protocol } = new URL(url);
  return isLoopbackHost(hostname) && Number(named || (protocol === "https:" ? 443 : 80)) === port;
}
