import type { KafkaConfig, LogError } from "@headrace/engine"
import { Effect, type Scope } from "effect"
import { Admin } from "./admin.ts"
import { attemptSync, letGo } from "./port-error.ts"
import { clusterSettings, signIn } from "./sign-in.ts"

/** An admin client of the cluster, for as long as the scope lives. */
export const adminClient = (config: typeof KafkaConfig.Type): Effect.Effect<Admin, LogError, Scope.Scope> =>
  Effect.acquireRelease(
    attemptSync("open an admin client", () => Admin.open(clusterSettings(config), signIn(config))),
    admin => letGo("close an admin client", () => admin.close())
  )
