// Measures hits: from memory, signed against nginx and unsigned against Varnish; from disk, with every block's checksum
// verified.

import { eventually } from "../helpers/program.ts";
import { type Bench, type Effort, type Outcome, ratios, type Target } from "./case.ts";
import { among, type Contender, startBareNode, startHuiyuan, startNginxCache, startVarnish } from "./contenders.ts";
import { byWrk, compare, verify } from "./load.ts";
import { pictureOf } from "./pictures.ts";

interface MemoryCase {
  readonly bytes: number;
  readonly target: Target | undefined;
}

export const SIGNED_HITS: readonly MemoryCase[] = [
  { bytes: 20_000, target: { must: 1.1, aim: 0.9 } },
  { bytes: 100_000, target: { must: 1.3, aim: 1.05 } },
  { bytes: 1_000_000, target: { must: 1.5, aim: 1.2 } },
];

export const UNSIGNED_HITS: readonly MemoryCase[] = [
  { bytes: 20_000, target: { must: 0.9, aim: 0.75 } },
  { bytes: 100_000, target: { must: 0.9, aim: 0.75 } },
  { bytes: 1_000_000, target: undefined },
];

/** Huiyuan requires and verifies tokens; nginx checks a secure_link. */
export function signedHits({ bytes, target }: MemoryCase, { place, effort }: Bench): Promise<Outcome> {
  const options = { ...place, isSigned: true };
  const path = pathOf(bytes, 0);
  return among(
    [
      () => startHuiyuan(options),
      () => startNginxCache(options),
      () => startNginxCache({ ...options, keepsOpen: true }),
      () => startBareNode(path),
    ],
    async (contenders) => {
      const title = `signed memory hit ${sizeName(bytes)}`;
      const figures = await memoryHits(contenders, bytes, effort);
      return { title, figures, verdicts: ratios(title, figures, "nginx", target) };
    },
  );
}

export function unsignedHits({ bytes, target }: MemoryCase, { place, effort }: Bench): Promise<Outcome> {
  return among([() => startHuiyuan(place), () => startVarnish(place)], async (contenders) => {
    const title = `memory hit ${sizeName(bytes)}`;
    const figures = await memoryHits(contenders, bytes, effort);
    return { title, figures, verdicts: ratios(title, figures, "Varnish", target) };
  });
}

async function memoryHits(contenders: readonly [Contender, ...Contender[]], bytes: number, effort: Effort) {
  const path = pathOf(bytes, 0);
  const picture = await pictureOf(bytes);
  for (const contender of contenders) await verify(contender, path, picture.for(path));
  await hitFrom("memory", contenders[0], path, picture.for(path));
  return compare(contenders, byWrk({ kind: "one", path }), effort);
}

/** Random keys from a set a hundred times larger than the memory tier. All files are in the system's page cache. */
export function diskHits({ place, effort }: Bench): Promise<Outcome> {
  const bytes = 100_000;
  const title = `disk hit ${sizeName(bytes)}`;
  const count = effort.isQuick ? 300 : 1_500;
  return among(
    [
      () => startHuiyuan({ ...place, limits: { memory: "1MiB" } }),
      () => startNginxCache(place),
      () => startNginxCache({ ...place, keepsOpen: true }),
    ],
    async (contenders) => {
      const picture = await pictureOf(bytes);
      const paths = Array.from({ length: count }, (_, index) => pathOf(bytes, index));
      for (const contender of contenders) {
        for (const path of paths) await verify(contender, path, picture.for(path));
      }
      // The first images fit in memory.
      const later = pathOf(bytes, count / 2);
      await hitFrom("bucket", contenders[0], later, picture.for(later));
      const figures = await compare(contenders, byWrk({ kind: "random", paths }), effort);
      return { title, figures, verdicts: ratios(title, figures, "nginx", { must: 2.4, aim: 1.8 }) };
    },
  );
}

/** Resolves once Huiyuan's Cache-Status names this tier; a miss is stored only after its response. */
async function hitFrom(tier: "memory" | "bucket", huiyuan: Contender, path: string, bytes: Buffer) {
  const isHit = async () => (await verify(huiyuan, path, bytes)).includes(`detail=${tier}`);
  await eventually(isHit, `a hit from ${tier}`);
}

function pathOf(bytes: number, index: number): string {
  return `/${bytes}/hit-${index}.jpg`;
}

export function sizeName(bytes: number): string {
  return bytes >= 1_000_000 ? `${bytes / 1_000_000} MB` : `${bytes / 1_000} KB`;
}
