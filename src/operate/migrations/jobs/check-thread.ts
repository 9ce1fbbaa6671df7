// The thread in which a server checks the requests of migrations.
import { serveThread } from "../../../async/thread.ts";
import { checkRequest } from "./job-files.ts";

serveThread({ checkRequest });
