// After a run, names the programs that this machine lacks, how many tests were skipped, and how to install the
// programs. A test declares its programs with needs() of test/helpers/services.ts.
import type { TestProject } from "vitest/node";

export default function nameMissing({ vitest }: TestProject): () => void {
  return () => {
    const skipped = vitest.state.getTestModules().flatMap(({ children }) => [...children.allTests("skipped")]);
    const missing = skipped.flatMap((test) => Object.entries(test.meta().missing ?? {}));
    if (missing.length === 0) return;
    const counts = new Map<string, number>();
    for (const [name] of missing) counts.set(name, (counts.get(name) ?? 0) + 1);
    console.log("This machine lacks programs or rights, and these tests were skipped:");
    for (const [name, how] of new Map(missing)) {
      const count = counts.get(name);
      console.log(`  ${name}: ${count} ${count === 1 ? "test" : "tests"} (${how})`);
    }
  };
}
