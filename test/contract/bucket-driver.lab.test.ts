// Runs the contract of bucket drivers on a real S3.
import { cephDriverContract } from "./s3-driver.ts";

cephDriverContract({ keepsCopies: true });
cephDriverContract({ keepsCopies: false });
