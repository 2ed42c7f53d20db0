export { bucketBlobs } from "./bucket.ts"
