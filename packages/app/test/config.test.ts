import { afterEach, describe, expect, test } from "bun:test"
import { join } from "node:path"
import { ConfigProvider, Effect, Result } from "effect"
import fc from "fast-check"
import { jobOf } from "../src/config/job.ts"
import { loadSettings } from "../src/config/load.ts"
import type { SettingFlag } from "../src/config/origins.ts"
import { parseDuration } from "../src/value.ts"
import { scratch } from "./scratch.ts"

const CLUSTERS = { kafka: "localhost:9092", registry: "http://localhost:8081" }

const load = (file: string, flags: Partial<Record<SettingFlag, string>> = {}, kafka: Record<string, string> = {}) =>
  Effect.runPromise(
    Effect.result(loadSettings(file, { settings: flags, kafka })).pipe(
      Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnv())
    )
  )

const settingsOf = async (file: string, flags: Partial<Record<SettingFlag, string>> = {}) =>
  Result.getOrThrow(await load(file, flags))

/** The error's lines, without the directory. */
const errorsOf = async (file: string, flags: Partial<Record<SettingFlag, string>> = {}) => {
  const result = await load(file, flags)
  return Result.isFailure(result) ? result.failure.message.split("\n") : []
}

const fromYaml = async (text: string) => {
  using files = scratch({ "config.yaml": text })
  const errors = await errorsOf(files.file("config.yaml"))
  return errors.map(line => line.replace(files.file("config.yaml"), "config.yaml"))
}

const set = new Map<string, string | undefined>()
const setVariable = (name: string, value: string) => {
  if (!set.has(name)) set.set(name, process.env[name])
  process.env[name] = value
}
afterEach(() => {
  for (const [name, value] of set) {
    if (value === undefined) delete process.env[name]
    else process.env[name] = value
  }
  set.clear()
})

describe("a pipeline with flags", () => {
  test("gets a default for everything but the clusters", async () => {
    setVariable("XDG_STATE_HOME", "/var/state")
    const job = jobOf(await settingsOf("/somewhere/spend.ts", CLUSTERS), "spend")
    expect(job).toMatchObject({
      app: "spend",
      module: "/somewhere/spend.ts",
      kafka: { bootstrap: "localhost:9092", settings: {} },
      registry: { url: "http://localhost:8081" },
      commitIntervalMs: 25,
      checkpoint: { store: { directory: "/var/state/headrace/spend/checkpoints" }, intervalMs: 60_000, retained: 3 },
      replication: 1
    })
    expect(job.clickhouse).toBeUndefined()
    expect(job.instance).toMatch(/^[A-Za-z0-9._-]+$/)
    expect(job.lanes).toBeGreaterThan(0)
  })

  test("takes librdkafka's settings from a file and single ones, secrets from the environment", async () => {
    using files = scratch({
      "client.properties":
        '# ours\nsecurity.protocol = SASL_SSL\n\nsasl.password=a=b$\nssl.ca.pem="one\\ntwo"\nretries=5'
    })
    setVariable("HEADRACE_KAFKA_CONFIG", files.file("client.properties"))
    setVariable("HEADRACE_REGISTRY_AUTH", "user:secret")
    setVariable("HEADRACE_CLICKHOUSE_PASSWORD", "hush")
    const flags = { ...CLUSTERS, clickhouse: "http://ch:8123", "clickhouse-user": "u" }
    const job = jobOf(Result.getOrThrow(await load("spend.ts", flags, { retries: "6" })), "spend")
    expect(job.kafka.settings).toEqual({
      "security.protocol": "SASL_SSL",
      "sasl.password": "a=b$",
      "ssl.ca.pem": "one\ntwo",
      retries: "6"
    })
    expect(job.registry.auth).toBe("user:secret")
    expect(job.clickhouse).toEqual({ url: "http://ch:8123", database: "default", username: "u", password: "hush" })
  })

  test("never shows what stands in its file of settings", async () => {
    using files = scratch({ "client.properties": "retries=1\nhush" })
    const errors = await errorsOf("spend.ts", { ...CLUSTERS, "kafka-config": files.file("client.properties") })
    expect(errors).toEqual([expect.stringContaining('(--kafka-config) cannot be used: line 2 is not "name=value"')])
    expect(errors.join()).not.toContain("hush")
  })

  test("that is one of the program's own needs no file", async () => {
    expect((await settingsOf("payments", CLUSTERS)).pipeline).toEndWith("/scenarios/payments/pipeline.ts")
  })

  test("without clusters is told how to name them", async () => {
    expect(await errorsOf("spend.ts")).toEqual([
      "clusters.kafka: is missing; give it by --kafka, HEADRACE_KAFKA or in a YAML file",
      "clusters.registry: is missing; give it by --registry, HEADRACE_REGISTRY or in a YAML file"
    ])
  })

  test("a wrong one is named as it was written", async () => {
    setVariable("HEADRACE_LANES", "many")
    expect(await errorsOf("spend.ts", { ...CLUSTERS, port: "70000" })).toEqual([
      'HEADRACE_LANES: Expected a whole number from 0 to 256, got "many"',
      '--port: Expected a whole number from 0 to 65535, got "70000"'
    ])
  })
})

describe("a configuration file", () => {
  const full = `
pipeline: jobs/spend.ts
app: spend
instance: a-1
lanes: 3
sinks: [spend]
clusters:
  kafka:
    bootstrap: "k1:9092,k2:9092"
    settings: { security.protocol: SASL_SSL, sasl.password: "\${SECRET}", socket.keepalive.enable: true, retries: 5 }
  registry: { url: "https://registry", auth: "user:\${SECRET}" }
  clickhouse: { url: "http://ch:8123", username: u, password: "\${SECRET}" }
commit: { interval: 50 millis, markers: 200 }
checkpoint: { store: /data/checkpoints, interval: 5 minutes, retained: 2 }
state: { memory: 300 MB, directory: /data/spill, full: stop }
http: { host: 0.0.0.0, port: 0 }
env: { LIMIT: 5 }
`
  test("says everything, with secrets from the environment", async () => {
    using files = scratch({ "config.yaml": full })
    setVariable("SECRET", "s3cret")
    const settings = await settingsOf(files.file("config.yaml"))
    expect(jobOf(settings, "other")).toEqual({
      app: "spend",
      instance: "a-1",
      module: join(files.directory, "jobs/spend.ts"),
      lanes: 3,
      kafka: {
        bootstrap: "k1:9092,k2:9092",
        settings: {
          "security.protocol": "SASL_SSL",
          "sasl.password": "s3cret",
          "socket.keepalive.enable": "true",
          retries: "5"
        }
      },
      registry: { url: "https://registry", auth: "user:s3cret" },
      clickhouse: { url: "http://ch:8123", database: "default", username: "u", password: "s3cret" },
      commitIntervalMs: 50,
      commitMarkers: 200,
      checkpoint: { store: { directory: "/data/checkpoints" }, intervalMs: 300_000, retained: 2 },
      state: { laneBytes: 100 << 20, directory: "/data/spill", full: "stop" },
      sessionTimeoutMs: 10_000,
      lostOffsets: "stop",
      standby: 0,
      replication: 1
    })
    expect(settings.http).toEqual({ host: "0.0.0.0", port: 0 })
    expect(settings.sinks).toEqual(["spend"])
    expect(settings.env).toEqual({ LIMIT: "5" })
  })

  test("keeps checkpoints in a bucket, with what is not said from the variables of AWS's tools", async () => {
    setVariable("AWS_REGION", "eu-central-1")
    setVariable("AWS_ENDPOINT_URL", "http://other:9000")
    const at = async (store: string, more = "") => {
      using files = scratch({ "config.yaml": full.replace("store: /data/checkpoints", `store: "${store}"${more}`) })
      setVariable("SECRET", "s")
      return jobOf(await settingsOf(files.file("config.yaml")), "other").checkpoint.store
    }
    const place = { bucket: "state", region: "eu-central-1", pathStyle: true }
    expect(await at("s3://state")).toEqual({ ...place, prefix: "", endpoint: "http://other:9000" })
    expect(await at("s3://state/a/b/", ", s3: { endpoint: http://minio:9000, pathStyle: false }")).toEqual({
      ...place,
      prefix: "a/b/",
      endpoint: "http://minio:9000",
      pathStyle: false
    })
    await expect(at("gs://state")).rejects.toThrow(/checkpoint\.store: Expected a directory, or s3:\/\/bucket\/prefix/)
  })

  test("yields to the environment, and that to a flag", async () => {
    using files = scratch({ "config.yaml": full })
    setVariable("SECRET", "s")
    setVariable("HEADRACE_LANES", "5")
    expect((await settingsOf(files.file("config.yaml"))).lanes).toBe(5)
    expect((await settingsOf(files.file("config.yaml"), { lanes: "7" })).lanes).toBe(7)
  })

  test("reports everything that is wrong, each with its path and what was expected", async () => {
    const text = `
pipeline: p.ts
lanes: many
bogus: 1
clusters:
  kafka: { bootstrap: "x y" }
  registry: { url: 5 }
commit: { interval: 25 }
checkpoint: { retained: 1 }
http: { port: 70000 }
`
    expect(await fromYaml(text)).toEqual([
      "config.yaml: bogus: is not a setting; see the README for the settings there are",
      'config.yaml: lanes: Expected a whole number from 0 to 256, got "many"',
      'config.yaml: clusters.kafka.bootstrap: Expected brokers as "host:port", several separated by commas, got "x y"',
      "config.yaml: clusters.registry.url: Expected a URL that starts with http:// or https://, got 5",
      'config.yaml: commit.interval: Expected a duration with its unit, like "25 millis" or "60 seconds", from 1 to 60000 millis, got 25',
      "config.yaml: checkpoint.retained: Expected a whole number from 2 to 1000, got 1",
      "config.yaml: http.port: Expected a whole number from 0 to 65535, got 70000"
    ])
  })

  test("names the place where it is not YAML", async () => {
    expect((await fromYaml("lanes: 2\napp: [")).join()).toMatch(/^config\.yaml:2:\d+: not YAML: /)
  })

  test("names the variable that is not set", async () => {
    const text = `clusters: { registry: { auth: "\${HEADRACE_NOT_SET}" } }`
    expect(await fromYaml(text)).toEqual([
      "config.yaml: clusters.registry.auth: the environment variable HEADRACE_NOT_SET is not set; set it or write the value instead"
    ])
  })

  test("never shows a secret in an error", async () => {
    const text =
      "pipeline: p.ts\nclusters: { kafka: { bootstrap: k:1, settings: { a: [hush] } }, registry: { url: http://r, auth: [hush] } }"
    const errors = await fromYaml(text)
    expect(errors).toHaveLength(2)
    expect(errors.join()).not.toContain("hush")
  })

  test("that is not there is named", async () => {
    expect((await errorsOf("/none/config.yaml"))[0]).toStartWith("/none/config.yaml cannot be read: ENOENT")
  })
})

describe("durations", () => {
  const units = { ms: 1, millis: 1, s: 1000, second: 1000, seconds: 1000, m: 60_000, minutes: 60_000, h: 3_600_000 }

  test("are numbers with a unit", () => {
    const unit = fc.constantFrom(...Object.entries(units))
    fc.assert(
      fc.property(fc.nat(100_000), unit, fc.constantFrom("", " "), (n, [name, factor], space) => {
        expect(parseDuration(`${n}${space}${name}`)).toBe(n * factor)
      })
    )
  })

  test("are nothing else", () => {
    for (const text of ["", "5", "s", "-5 s", "5 lightyears", "5 s 3", "1e3 s"])
      expect(parseDuration(text)).toBeUndefined()
  })
})

describe("any values", () => {
  test("are either taken or refused with a line for each problem, never with a defect", async () => {
    const value = fc.oneof(fc.string(), fc.integer(), fc.boolean(), fc.constant(null), fc.constant([]), fc.constant({}))
    const document = fc.record(
      {
        pipeline: value,
        lanes: value,
        app: value,
        sinks: value,
        commit: fc.oneof(value, fc.record({ interval: value })),
        http: fc.oneof(value, fc.record({ port: value })),
        env: value
      },
      { requiredKeys: [] }
    )
    await fc.assert(
      fc.asyncProperty(document, async written => {
        using files = scratch({ "config.yaml": JSON.stringify(written) })
        const result = await load(files.file("config.yaml"), CLUSTERS)
        if (Result.isFailure(result)) expect(result.failure.message).toContain(files.file("config.yaml"))
        else expect(result.success.lanes).toBeWithin(0, 257)
      }),
      { numRuns: 200 }
    )
  })
})
