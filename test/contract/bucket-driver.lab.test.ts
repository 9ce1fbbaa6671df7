// Runs the contract of bucket drivers on a real S3, and on a remote store in memory.
import { cephDriverContract, memoryRemoteDriverContract } from "./s3-driver.ts";

cephDriverContract({ keepsCopies: true });
cephDriverContract({ keepsCopies: false });
memoryRemoteDriverContract();
