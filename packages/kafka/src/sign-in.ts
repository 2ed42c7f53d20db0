import { readFile } from "node:fs/promises"
import type { KafkaConfig } from "@headrace/engine"
import { invalid } from "./error.ts"
import type { ClientOptions, Token } from "./request.ts"

type Config = typeof KafkaConfig.Type

/** A setting of ours beside librdkafka's: a file that holds a JWT, and is written anew before that ends. */
const TOKEN_FILE = "sasl.oauthbearer.token.file"

/** A cluster's settings as librdkafka knows them. */
export const clusterSettings = ({ bootstrap, settings }: Config): Record<string, string> => {
  const { [TOKEN_FILE]: _, ...known } = settings
  return { ...known, "bootstrap.servers": bootstrap }
}

/** How clients get their tokens, where the cluster wants OAUTHBEARER. Throws when there is no way. */
export const signIn = ({ settings }: Config): ClientOptions => {
  const mechanism = settings["sasl.mechanism"] ?? settings["sasl.mechanisms"]
  if (mechanism !== "OAUTHBEARER" || settings["enable.sasl.oauthbearer.unsecure.jwt"] === "true") return {}
  const file = settings[TOKEN_FILE]
  if (file === undefined) {
    const how = `name a file that holds a JWT by ${TOKEN_FILE} among the cluster's settings (OIDC is not built in)`
    throw invalid("sign in", `OAUTHBEARER needs tokens: ${how}`)
  }
  return { token: () => tokenIn(file) }
}

const tokenIn = async (file: string): Promise<Token> => {
  const value = (await readFile(file, "utf8")).trim()
  const claims = claimsOf(value)
  if (typeof claims.exp !== "number") throw new Error(`${file} holds no JWT with a time at which it ends (exp)`)
  return { value, untilMs: claims.exp * 1000, principal: String(claims.sub ?? "") }
}

const claimsOf = (jwt: string): { readonly exp?: unknown; readonly sub?: unknown } => {
  try {
    return JSON.parse(Buffer.from(jwt.split(".")[1] ?? "", "base64url").toString())
  } catch {
    return {}
  }
}
