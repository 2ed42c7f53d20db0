import { createHash } from "node:crypto"
import { createServer } from "node:net"
import type { JobConfig } from "@headrace/engine"
import { Effect, Schema } from "effect"

/** Another process on this machine has this instance's name. */
export class InstanceTaken extends Schema.TaggedError<InstanceTaken>()("InstanceTaken", { message: Schema.String }) {}

/**
 * Holds the instance's name on this machine while the scope lives: two processes of one name would fence each other's
 * transactions for ever. An abstract socket is the lock, since the kernel gives it back however the process ends; so
 * only Linux has it. Across machines the host's name keeps instances apart.
 */
export const holdInstance = (job: JobConfig) =>
  process.platform === "linux" ? Effect.asVoid(Effect.acquireRelease(listen(job), close)) : Effect.void

const listen = (job: JobConfig) =>
  Effect.callback<Lock, InstanceTaken>(resume => {
    const server = createServer()
    server.once("error", () => resume(new InstanceTaken({ message: taken(job) })))
    server.listen(nameOf(job), () => resume(Effect.succeed(server)))
    server.unref()
  })

type Lock = ReturnType<typeof createServer>

const close = (server: Lock) => Effect.sync(() => void server.close())

/** The same name on other brokers is another job. Hashed, since a socket's name has at most 107 bytes. */
const nameOf = ({ app, instance, kafka }: JobConfig): string =>
  `\0headrace-${createHash("sha256")
    .update(JSON.stringify([app, instance, kafka.bootstrap]))
    .digest("hex")
    .slice(0, 32)}`

const taken = ({ app, instance }: JobConfig): string =>
  `${app} runs on this machine already as instance ${instance}: stop it, or name this one by --instance`
