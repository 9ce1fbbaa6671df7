// Preloaded into a program under test: two seconds after SIGTERM it sets Date back by an hour, as a correction of the
// system's clock would. performance.now() is not affected.
const RealDate = Date;
let setMs = 0;
globalThis.Date = class extends RealDate {
  constructor(...given) {
    if (given.length === 0) super(RealDate.now() + setMs);
    else super(...given);
  }
  static now() {
    return RealDate.now() + setMs;
  }
};
process.prependListener("SIGTERM", () => {
  setTimeout(() => {
    setMs = -3_600_000;
  }, 2_000).unref();
});
