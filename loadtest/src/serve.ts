import { parentPort } from "node:worker_threads"
import { messageOf } from "@headrace/core"
import type { Answered, Asked, Requests } from "./messages.ts"

/** What a thread does for each request that it knows. */
export type Handlers = { readonly [N in keyof Requests]?: (body: Requests[N]["ask"]) => Promise<Requests[N]["answer"]> }

/** Answers the main thread's requests, several at a time, until `end` was answered. */
export const serve = (handlers: Handlers): void => {
  const port = parentPort
  if (port === null) throw new Error("this module runs in a worker thread of the load test")
  port.on("message", async (asked: Asked) => {
    const answer: Answered = await answerTo(handlers, asked)
    port.postMessage(answer)
    if (asked.name === "end") port.close()
  })
}

const answerTo = async (handlers: Handlers, { number, name, body }: Asked): Promise<Answered> => {
  const handler = handlers[name] as ((body: unknown) => Promise<unknown>) | undefined
  if (handler === undefined) return { number, error: `this thread does not know "${name}"` }
  try {
    return { number, body: await handler(body) }
  } catch (error) {
    return { number, error: messageOf(error) }
  }
}
