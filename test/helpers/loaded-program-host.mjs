// Runs commands of the built program one after the other in this process, for loadedHuiyuan(). Each run
// evaluates the program's main file anew; the modules below it stay loaded, which is what makes it fast.
import { Readable, Writable } from "node:stream";

const [, , main] = process.argv;
const usualEnv = { ...process.env };
let runs = 0;

const leave = process.exit.bind(process);
const answer = process.send.bind(process);
// Commands use it if another program has started them.
process.send = undefined;
// The program's last step. The host goes on.
process.exit = () => undefined;
process.on("disconnect", () => leave());
// A command leaves its listeners for signals behind.
process.setMaxListeners(0);

process.on("message", async ({ args, env, input }) => {
  const said = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"]) {
    const stream = new Writable({
      decodeStrings: false,
      write(chunk, _encoding, done) {
        said[name] += chunk.toString();
        done();
      },
    });
    Object.defineProperty(process, name, { value: stream, configurable: true });
  }
  Object.defineProperty(process, "stdin", { value: Readable.from([Buffer.from(input)]), configurable: true });
  for (const name of Object.keys(process.env)) if (!(name in usualEnv)) delete process.env[name];
  Object.assign(process.env, usualEnv, env);
  process.argv = [process.execPath, main, ...args];
  process.exitCode = undefined;
  runs += 1;
  await import(`${main}?${runs}`);
  answer({ code: process.exitCode ?? 0, out: said.stdout, err: said.stderr });
  process.exitCode = undefined;
});
