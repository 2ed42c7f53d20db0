import { homedir } from "node:os"
import { join, resolve } from "node:path"
import type { CheckpointStore } from "@headrace/engine"
import { Schema } from "effect"
import { S3_URL } from "../value.ts"
import { S3 } from "./settings.ts"

/** The store that a setting names, with what the environment says of S3. */
export const storeOf = (place: string, s3: typeof S3.Type): CheckpointStore => {
  const [, bucket, path = ""] = S3_URL.exec(place) ?? []
  if (bucket === undefined) return { directory: resolve(place) }
  const { AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, AWS_REGION, AWS_DEFAULT_REGION } = process.env
  const endpoint = s3.endpoint ?? (AWS_ENDPOINT_URL_S3 || AWS_ENDPOINT_URL)
  const region = s3.region ?? (AWS_REGION || AWS_DEFAULT_REGION)
  return {
    bucket,
    prefix: path === "" ? "" : `${path.replace(/\/+$/, "")}/`,
    ...(endpoint ? { endpoint } : {}),
    ...(region ? { region } : {}),
    pathStyle: s3.pathStyle
  }
}

/** As a user writes it. */
export const storeText = (store: CheckpointStore): string =>
  "directory" in store ? store.directory : `s3://${store.bucket}/${store.prefix}`

/** Where savepoints are kept, of all apps. `s3`: as for checkpoints; a command that knows no job has its defaults. */
export const savepointsIn = (
  place: string | undefined,
  s3: typeof S3.Type = Schema.decodeUnknownSync(S3)({})
): CheckpointStore => storeOf(place ?? join(stateDirectory(), "savepoints"), s3)

/** Where a user's programs keep state between runs (XDG): never the current directory by accident. */
export const stateDirectory = (): string =>
  join(process.env.XDG_STATE_HOME || join(homedir(), ".local", "state"), "headrace")
