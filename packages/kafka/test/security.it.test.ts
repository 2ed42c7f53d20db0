import { afterAll, beforeAll, expect, test } from "bun:test"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { freePorts, startKafka } from "@headrace/dev"
import type { LogError, Source } from "@headrace/engine"
import { Effect, type Scope } from "effect"
import { openCommittedLog } from "../src/committed-log.ts"
import { Arena, type ClientOptions, Consumer, PRODUCER_DEFAULTS, Producer, SOURCE_DEFAULTS } from "../src/index.ts"
import { openMembership } from "../src/membership.ts"
import { openProducer } from "../src/transactional.ts"
import { createTopic, fresh, fromBeginning, pack, readUntil, reasonOf } from "./support.ts"

const T = 30_000
const directory = mkdtempSync(join(tmpdir(), "headrace-security-"))
let plaintext = ""
let sasl = ""
let tls = ""
let stop = async () => {}

const run = async (command: readonly string[]) => {
  const child = Bun.spawn([...command], { stdout: "pipe", stderr: "pipe" })
  const [out, err, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited
  ])
  if (code !== 0) throw new Error(`${command[0]} failed: ${out}${err}`)
}

const keystore = join(directory, "broker.p12")
const certificate = join(directory, "broker.pem")
const makeCertificate = async () => {
  const store = ["-keystore", keystore, "-storetype", "PKCS12", "-storepass", "secret", "-alias", "broker"]
  const names = ["-dname", "CN=localhost", "-ext", "SAN=ip:127.0.0.1,dns:localhost"]
  await run(["keytool", "-genkeypair", "-keyalg", "RSA", "-keysize", "2048", "-validity", "30", ...store, ...names])
  await run(["keytool", "-exportcert", "-rfc", "-file", certificate, ...store])
}

/** With the jars of the running broker: there is no other way to make a SCRAM user. */
const addScramUser = async (pid: number, mechanism: string) => {
  const command = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0")
  const jars = command[command.indexOf("-cp") + 1]!
  const user = ["--entity-type", "users", "--entity-name", "scram", "--alter", "--add-config"]
  const tool = ["kafka.admin.ConfigCommand", "--bootstrap-server", plaintext, ...user, `${mechanism}=[password=pw]`]
  await run([command[0]!, "-XX:TieredStopAtLevel=1", "-cp", jars, ...tool])
}

const jaas = "org.apache.kafka.common.security"
const listener = "listener.name.sasl_plaintext"

const settings = (ports: { plain: number; sasl: number; tls: number; controller: number }) => {
  const of = (name: string, port: number) => `${name}://127.0.0.1:${port}`
  const open = [of("PLAINTEXT", ports.plain), of("SASL_PLAINTEXT", ports.sasl), of("SSL", ports.tls)].join(",")
  return {
    listeners: `${open},${of("CONTROLLER", ports.controller)}`,
    "advertised.listeners": open,
    "controller.quorum.voters": `1@127.0.0.1:${ports.controller}`,
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,SSL:SSL",
    "inter.broker.listener.name": "PLAINTEXT",
    "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER",
    [`${listener}.plain.sasl.jaas.config`]: `${jaas}.plain.PlainLoginModule required user_plain="pw" user_guest="pw";`,
    [`${listener}.scram-sha-256.sasl.jaas.config`]: `${jaas}.scram.ScramLoginModule required;`,
    [`${listener}.scram-sha-512.sasl.jaas.config`]: `${jaas}.scram.ScramLoginModule required;`,
    [`${listener}.oauthbearer.sasl.jaas.config`]: `${jaas}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";`,
    // A guest may sign in, and do nothing.
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "super.users": "User:ANONYMOUS;User:plain;User:scram;User:someone",
    "ssl.keystore.location": keystore,
    "ssl.keystore.type": "PKCS12",
    "ssl.keystore.password": "secret",
    "ssl.key.password": "secret"
  }
}

beforeAll(async () => {
  await makeCertificate()
  const [plain, secured, encrypted, controller] = await freePorts(4)
  const ports = { plain: plain!, sasl: secured!, tls: encrypted!, controller: controller! }
  const kafka = await startKafka({ port: ports.plain, settings: settings(ports) })
  stop = () => kafka.stop()
  plaintext = kafka.bootstrap
  sasl = `127.0.0.1:${ports.sasl}`
  tls = `127.0.0.1:${ports.tls}`
  await Promise.all(["SCRAM-SHA-256", "SCRAM-SHA-512"].map(mechanism => addScramUser(kafka.pid, mechanism)))
})

afterAll(async () => {
  await stop()
  rmSync(directory, { recursive: true })
})

const roundTrip = async (config: Record<string, string>, options: () => ClientOptions = () => ({})) => {
  const topic = await createTopic(plaintext)
  const producer = Producer.open({ ...PRODUCER_DEFAULTS, ...config }, options())
  producer.produce(pack([{ topic: producer.topicId(topic), value: "secret" }]), 0, 1)
  await producer.flush(T)
  await producer.close()
  const consumer = Consumer.open({ ...SOURCE_DEFAULTS, ...config, "group.id": fresh("group") }, options())
  await consumer.assign(fromBeginning(topic))
  const { received } = await readUntil(consumer, all => all.length >= 1)
  await consumer.close()
  expect(received.map(({ value }) => value)).toEqual(["secret"])
}

const withUser = (mechanism: string, user: string, password: string) => ({
  "bootstrap.servers": sasl,
  "security.protocol": "sasl_plaintext",
  "sasl.mechanism": mechanism,
  "sasl.username": user,
  "sasl.password": password
})

test("PLAIN", () => roundTrip(withUser("PLAIN", "plain", "pw")))
test("SCRAM-SHA-256", () => roundTrip(withUser("SCRAM-SHA-256", "scram", "pw")))
test("SCRAM-SHA-512", () => roundTrip(withUser("SCRAM-SHA-512", "scram", "pw")))

test("a wrong password is reported as such", async () => {
  const consumer = Consumer.open({ ...withUser("PLAIN", "plain", "wrong"), "group.id": "g" })
  const { events } = await readUntil(consumer, (_, all) =>
    all.some(event => event.type === "error" && event.error.reason === "AuthFailed")
  )
  expect(events.length).toBeGreaterThan(0)
  await consumer.close()
})

/** What the engine's clients come to under these settings, polled until they fail. */
const refusedAs = async (settings: Record<string, string>): Promise<LogError[]> => {
  const { "bootstrap.servers": bootstrap, ...rest } = settings
  const config = { bootstrap: bootstrap!, settings: rest }
  const topic = await createTopic(plaintext)
  const member = { group: fresh("group"), member: "m", sessionTimeoutMs: 10_000 }
  const lane = Effect.flatMap(openMembership(config, { ...member, topics: [topic] }), pollOn)
  const sink = Effect.flatMap(openCommittedLog(config, { ...member, topic }), pollOn)
  const producer = Effect.flatMap(openProducer(config, fresh("id"), [topic]), one => one.initialise())
  const outcomes = [lane, sink, producer].map(one =>
    Effect.runPromise(Effect.scoped(Effect.flip<void, LogError, Scope.Scope>(one)))
  )
  return Promise.all(outcomes)
}

const pollOn = (log: Pick<Source, "poll">): Effect.Effect<never, LogError> => Effect.forever(log.poll(10, 100))

test.each([
  ["a wrong password", () => withUser("PLAIN", "plain", "wrong"), /Invalid username or password.*sasl\.password/],
  [
    "a user without rights",
    () => withUser("PLAIN", "guest", "pw"),
    /(Group|Transactional Id) authorization failed.*Permit/
  ],
  [
    "an unknown authority",
    () => ({ "bootstrap.servers": tls, "security.protocol": "ssl" }),
    /certificate.*ssl\.ca\.location/
  ]
])("%s stops lane, sink and producer", async (_, settings, says) => {
  const errors = await refusedAs(settings())
  for (const error of errors) {
    expect(error.message).toMatch(says)
    expect(error.failure).toBe("Stop")
  }
})

test("librdkafka's logs arrive, with level and facility", async () => {
  const consumer = Consumer.open({ "bootstrap.servers": plaintext, "group.id": fresh("group"), debug: "conf" })
  const { events } = await readUntil(consumer, (_, all) => all.some(({ type }) => type === "log"))
  expect(events.find(({ type }) => type === "log")).toMatchObject({
    level: 7,
    facility: expect.stringMatching(/^[A-Z]+$/),
    message: expect.stringContaining("sasl_scram")
  })
  await consumer.close()
})

test("TLS, with the broker's certificate checked", () =>
  roundTrip({ "bootstrap.servers": tls, "security.protocol": "ssl", "ssl.ca.location": certificate }))

test("TLS with a certificate that nobody vouches for is refused", async () => {
  const producer = Producer.open({ "bootstrap.servers": tls, "security.protocol": "ssl" })
  const topic = await createTopic(plaintext)
  producer.produce(pack([{ topic: producer.topicId(topic), value: "v" }]), 0, 1)
  let refused = false
  while (!refused) {
    // A flush serves what librdkafka has to say.
    expect(await reasonOf(() => producer.flush(500))).toBe("TimedOut")
    refused = producer.events().some(event => event.type === "error" && event.error.reason === "AuthFailed")
  }
  await producer.close()
})

const base64 = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url")

/** An unsecured JWT, as the broker's default validator takes it. */
const token = async () => {
  const now = Math.floor(Date.now() / 1000)
  const value = `${base64({ alg: "none" })}.${base64({ sub: "someone", iat: now, exp: now + 3600 })}.`
  return { value, untilMs: (now + 3600) * 1000, principal: "someone" }
}

const bearer = () => ({
  "bootstrap.servers": sasl,
  "security.protocol": "sasl_plaintext",
  "sasl.mechanism": "OAUTHBEARER"
})

test("OAUTHBEARER with tokens from a function, asked for before anything else happens", async () => {
  let asked = 0
  await roundTrip(bearer(), () => ({
    token: () => {
      asked++
      return token()
    }
  }))
  expect(asked).toBeGreaterThanOrEqual(2)
})

const initialise = (settings: Record<string, string>) => {
  const { "bootstrap.servers": bootstrap, ...rest } = { ...bearer(), ...settings }
  const opened = openProducer({ bootstrap: bootstrap!, settings: rest }, fresh("id"), [])
  return Effect.runPromise(Effect.scoped(Effect.flatMap(opened, producer => producer.initialise())))
}

test("OAUTHBEARER with tokens from a file", async () => {
  const file = join(directory, "token.jwt")
  writeFileSync(file, (await token()).value)
  await initialise({ "sasl.oauthbearer.token.file": file })
})

test.each([
  ["a file or a function", {}, /OAUTHBEARER needs tokens.*sasl\.oauthbearer\.token\.file/],
  ["OIDC", { "sasl.oauthbearer.method": "oidc", "sasl.oauthbearer.token.file": "unused" }, /sasl\.oauthbearer\.method/]
])("OAUTHBEARER without %s ends at once", async (_, settings: Record<string, string>, says) => {
  const error = await initialise(settings).catch((thrown: LogError) => thrown)
  expect(error).toMatchObject({ failure: "Stop", message: expect.stringMatching(says) })
})

test("a token function that fails is reported", async () => {
  const refuse = () => Promise.reject(new Error("the identity provider is asleep"))
  const consumer = Consumer.open({ ...bearer(), "group.id": "g" }, { token: refuse })
  const { events } = await readUntil(consumer, (_, all) => all.some(({ type }) => type === "error"), {
    arena: new Arena(1000, 10)
  })
  expect(JSON.stringify(events)).toContain("asleep")
  await consumer.close()
})
