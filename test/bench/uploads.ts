// Measures uploads: the cost of 100 KB compared to nginx accepting a PUT, and the memory for many large uploads from
// slow clients.
import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { uploadToken } from "../helpers/rest-api.ts";
import { APPID } from "../helpers/settings.ts";
import { keysIn } from "../helpers/stored-keys.ts";
import { type Bench, type Outcome, ratios } from "./case.ts";
import { among, type Contender, startHuiyuan } from "./contenders.ts";
import { sizeName } from "./hits.ts";
import { compare, type Drive, median, verify } from "./load.ts";
import { MB, memory } from "./memory.ts";
import { startNginxDav } from "./nginx-dav.ts";
import { type Picture, pictureOf } from "./pictures.ts";
import { idle, residentBytes } from "./processes.ts";
import { openUploads, type UploadAnswer, type UploadConnection } from "./upload-client.ts";

const AT_ONCE = 16;
/**
 * Factor of the warm-up time: uploads wait for the disk, so it takes longer until enough of them have compiled the
 * code.
 */
const WARM_UP = 4;
const BUCKET = `${APPID}/photos`;
const BOUNDARY = "----------------------------7e1d2c3b4a5f";
/** Number of stored uploads that are read back and compared. */
const READ_BACK = 50;

/** A contender's upload protocol: the request to send, and whether a response acknowledges the upload. */
interface Manner {
  request(name: string, picture: Picture): readonly Buffer[];
  isStored(answer: UploadAnswer, name: string): boolean;
  /** Names of all stored pictures. */
  stored(): Promise<readonly string[]>;
}

/** Each upload has its own name and bytes; afterwards exactly the acknowledged ones must be stored. */
export async function uploads({ place, effort }: Bench): Promise<Outcome> {
  const bytes = 100_000;
  const title = `upload ${sizeName(bytes)}`;
  const data = join(place.folder, "data");
  const files = join(place.folder, "files");
  await mkdir(place.folder, { recursive: true });
  const starts = [
    () => startHuiyuan({ ...place, data }),
    () => startNginxDav(join(place.folder, "nginx"), files),
  ] as const;
  return among(starts, async (contenders) => {
    const [huiyuan, nginx] = contenders;
    const picture = await pictureOf(bytes);
    const manners = new Map<Contender, Manner>([
      [huiyuan, formManner(data)],
      [nginx, putManner(files)],
    ]);
    const acknowledged = new Map<Contender, string[]>(contenders.map((contender) => [contender, []]));
    const drive: Drive = async (contender, seconds) => {
      const run = { manner: manners.get(contender)!, picture, names: acknowledged.get(contender)! };
      return uploadFor(contender, seconds, run);
    };
    const figures = await compare(contenders, drive, { ...effort, warmUpSeconds: WARM_UP * effort.warmUpSeconds });
    for (const [contender, names] of acknowledged) {
      await checkStored(contender, names, { picture, stored: await manners.get(contender)!.stored() });
    }
    return { title, figures, verdicts: ratios(title, figures, "") };
  });
}

/** A form as REST API clients send it, with a signature valid for any name. */
function formManner(data: string): Manner {
  const authorization = `QCloud ${uploadToken()}`;
  const behind = Buffer.from(`\r\n--${BOUNDARY}--\r\n`);
  return {
    request(name, picture) {
      const part = `--${BOUNDARY}\r\nContent-Disposition: form-data; name="FileContent"; filename="a.jpg"\r\nContent-Type: image/jpeg\r\n\r\n`;
      const head = [
        `POST /photos/v2/${APPID}/photos/0/${name} HTTP/1.1`,
        "Host: web.image.myqcloud.com",
        `Authorization: ${authorization}`,
        `Content-Type: multipart/form-data; boundary=${BOUNDARY}`,
        `Content-Length: ${part.length + picture.bytes + behind.length}`,
      ].join("\r\n");
      return [Buffer.from(`${head}\r\n\r\n${part}`), picture.headFor(name), picture.rest, behind];
    },
    isStored({ status, body }, name) {
      if (status !== 200) return false;
      const { code, data: told } = JSON.parse(body);
      return code === 0 && told.fileid === name;
    },
    stored: async () => keysIn(data, BUCKET),
  };
}

function putManner(files: string): Manner {
  return {
    request(name, picture) {
      const head = `PUT /${name} HTTP/1.1\r\nHost: any.example\r\nContent-Length: ${picture.bytes}\r\n\r\n`;
      return [Buffer.from(head), picture.headFor(name), picture.rest];
    },
    isStored: ({ status }) => status === 201,
    stored: () => readdir(files),
  };
}

interface Uploading {
  readonly manner: Manner;
  readonly picture: Picture;
  /** Acknowledged names are added to this list. */
  readonly names: string[];
}

async function uploadFor(contender: Contender, seconds: number, { manner, picture, names }: Uploading) {
  const startedAt = performance.now();
  const times: number[] = [];
  const first = names.length;
  let next = first;
  const client = async (connection: UploadConnection) => {
    try {
      while (performance.now() - startedAt < seconds * 1_000) {
        const name = `upload-${next}.jpg`;
        next += 1;
        const answer = await connection.send(manner.request(name, picture));
        if (!manner.isStored(answer, name)) throw notStored(contender, name, answer);
        names.push(name);
        times.push(answer.ms);
      }
    } finally {
      connection.close();
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, () => client(openUploads(contender.port))));
  const requests = names.length - first;
  const perSecond = requests / ((performance.now() - startedAt) / 1_000);
  const sorted = times.sort((left, right) => left - right);
  return { requests, perSecond, p50: median(sorted), p99: sorted[Math.floor(sorted.length * 0.99)] ?? Number.NaN };
}

function notStored({ name: who }: Contender, name: string, { status, body }: UploadAnswer): Error {
  return new Error(`${who} answered the upload of ${name} with ${status}: ${body.slice(0, 200)}`);
}

async function checkStored(
  contender: Contender,
  acknowledged: readonly string[],
  { stored, picture }: { readonly stored: readonly string[]; readonly picture: Picture },
): Promise<void> {
  const there = new Set(stored);
  if (there.size !== acknowledged.length || !acknowledged.every((name) => there.has(name))) {
    throw new Error(`${contender.name} acknowledged ${acknowledged.length} uploads and has ${there.size}`);
  }
  const step = Math.max(1, Math.floor(acknowledged.length / READ_BACK));
  for (let index = 0; index < acknowledged.length; index += step) {
    const name = acknowledged[index]!;
    await verify(contender, `/${name}`, picture.for(name));
  }
}

/** Measures memory above the program at rest; each upload must be acknowledged and stored. */
export async function slowUploads({ place, effort }: Bench): Promise<Outcome> {
  const [count, bytes, seconds] = effort.isQuick ? [50, 20_000_000, 5] : [50, 20_000_000, 20];
  const data = join(place.folder, "data");
  await mkdir(place.folder, { recursive: true });
  return among([() => startHuiyuan({ ...place, data })], async ([huiyuan]) => {
    const picture = await pictureOf(bytes);
    const { request, isStored } = formManner(data);
    await idle(huiyuan.pid);
    const { now: before } = residentBytes(huiyuan.pid);
    const names = Array.from({ length: count }, (_, index) => `slow-${index}.jpg`);
    await Promise.all(
      names.map(async (name) => {
        const connection = openUploads(huiyuan.port);
        const answer = await connection.send(request(name, picture), { seconds });
        if (!isStored(answer, name)) throw notStored(huiyuan, name, answer);
        connection.close();
      }),
    );
    await idle(huiyuan.pid);
    const { peak } = residentBytes(huiyuan.pid);
    await checkStored(huiyuan, names, { stored: keysIn(data, BUCKET), picture });
    const title = `memory of ${count} slow uploads of ${bytes / MB} MB (peak RSS above rest)`;
    return memory(title, peak - before, { must: 200, aim: 100 });
  });
}
