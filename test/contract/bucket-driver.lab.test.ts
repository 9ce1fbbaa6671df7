// Runs the contract of bucket drivers on S3 with copies on the disk. bucket-driver.test.ts covers S3 itself.
import { s3DriverContract } from "./s3-driver.ts";

s3DriverContract("S3, with copies on the disk,", { keepsCopies: true });
