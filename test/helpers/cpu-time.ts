// Measures CPU time. Unlike elapsed time, it hardly grows while other programs use the machine.

/** Begins a measurement. The returned function tells the milliseconds of CPU time that this process used since. */
export function startCpuTimer(): () => number {
  const began = process.cpuUsage();
  return () => {
    const { user, system } = process.cpuUsage(began);
    return (user + system) / 1_000;
  };
}
