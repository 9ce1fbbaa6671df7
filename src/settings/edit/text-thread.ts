// The thread that works on large settings files; text-jobs.ts starts it.
import { serveThread } from "../../async/thread.ts";
import { createTextJobs } from "./text-jobs.ts";

serveThread(createTextJobs());
