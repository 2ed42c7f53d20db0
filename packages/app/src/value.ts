import { Schema, SchemaTransformation } from "effect"

const UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  milli: 1,
  millis: 1,
  s: 1000,
  sec: 1000,
  second: 1000,
  seconds: 1000,
  m: 60_000,
  min: 60_000,
  minute: 60_000,
  minutes: 60_000,
  h: 3_600_000,
  hour: 3_600_000,
  hours: 3_600_000
}

/** Milliseconds in "25 millis", "60s", "1.5 minutes"; undefined when it is none of these. */
export const parseDuration = (text: string): number | undefined => {
  const match = /^\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*$/.exec(text)
  const unit = UNITS[match?.[2] ?? ""]
  return match === null || unit === undefined ? undefined : Math.round(Number(match[1]) * unit)
}

/** A string that has to fulfil `holds`; the error says what was expected. */
const text = (expected: string, holds: (value: string) => boolean) =>
  Schema.String.annotate({ expected }).check(Schema.makeFilter(holds, { expected }))

/** A whole number within bounds, also as digits (flags and `${ENV}` give strings). */
export const whole = (least: number, most: number) => {
  const expected = `a whole number from ${least} to ${most}`
  const fits = (value: number) => Number.isInteger(value) && value >= least && value <= most
  const digits = text(expected, value => /^-?\d+$/.test(value) && fits(Number(value))).pipe(
    Schema.decodeTo(Schema.Int, SchemaTransformation.transform({ decode: Number, encode: String }))
  )
  return Schema.Union([Schema.Int.annotate({ expected }).check(Schema.makeFilter(fits, { expected })), digits])
}

/** A duration with its unit, decoded to milliseconds. */
export const millis = (least: number, most: number) =>
  text(`a duration with its unit, like "25 millis" or "60 seconds", from ${least} to ${most} millis`, value => {
    const ms = parseDuration(value)
    return ms !== undefined && ms >= least && ms <= most
  }).pipe(
    Schema.decodeTo(
      Schema.Finite,
      SchemaTransformation.transform({ decode: value => parseDuration(value)!, encode: ms => `${ms} millis` })
    )
  )

const SIZES: Readonly<Record<string, number>> = { KB: 1 << 10, MB: 1 << 20, GB: 1 << 30 }

/** Bytes in "512 MB", "1.5 GB"; undefined when it is no size. */
const parseSize = (text: string): number | undefined => {
  const match = /^\s*(\d+(?:\.\d+)?)\s*(KB|MB|GB)\s*$/.exec(text)
  return match === null ? undefined : Math.round(Number(match[1]) * SIZES[match[2]!]!)
}

/** An amount of memory with its unit, decoded to bytes. */
export const size = (leastMb: number) =>
  text(`an amount of memory with its unit, like "512 MB" or "2 GB", at least ${leastMb} MB`, value => {
    const bytes = parseSize(value)
    return bytes !== undefined && bytes >= leastMb * SIZES.MB!
  }).pipe(
    Schema.decodeTo(
      Schema.Finite,
      SchemaTransformation.transform({
        decode: value => parseSize(value)!,
        encode: bytes => `${bytes / SIZES.KB!} KB`
      })
    )
  )

/** What may become part of topics, groups and transactional ids. */
/** Two dots are what stands between the names of an app, an instance and a lane. */
export const Name = text(
  'a name of letters, digits, ".", "_" and "-", at most 100, without ".." and no "." at its ends',
  value => /^[A-Za-z0-9._-]{1,100}$/.test(value) && !/^\.|\.\.|\.$/.test(value)
)

export const Bootstrap = text('brokers as "host:port", several separated by commas', value =>
  value.split(",").every(broker => /^[^\s:,]+:\d{1,5}$|^\[[0-9a-fA-F:]+\]:\d{1,5}$/.test(broker.trim()))
)

const isHttp = (value: string): boolean => ["http:", "https:"].includes(URL.parse(value)?.protocol ?? "")

export const HttpUrl = text("a URL that starts with http:// or https://", isHttp)

/** Embedded ones are named by their directory. */
export const isEmbedded = (url: string): boolean => url.startsWith("chdb:/")

export const ClickHouseUrl = text(
  "a URL that starts with http:// or https://, or chdb:/directory for the embedded one",
  value => isHttp(value) || isEmbedded(value)
)

export const NonEmpty = text("a text that is not empty", value => value.trim() !== "")

/** Bucket and path of `s3://bucket/path`. */
export const S3_URL = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:\/(.*))?$/

export const StorePlace = text(
  "a directory, or s3://bucket/prefix",
  value => value.trim() !== "" && (S3_URL.test(value) || !/^[a-z0-9]+:\/\//i.test(value))
)

/** Settings that others define (librdkafka, environment): YAML's numbers and booleans are taken as written. */
export const Scalar = Schema.Union([Schema.String, Schema.Finite, Schema.Boolean])
  .annotate({ expected: "a text, number or boolean" })
  .pipe(
    Schema.decodeTo(
      Schema.String,
      SchemaTransformation.transform({ decode: String, encode: (value): string | number | boolean => value })
    )
  )
