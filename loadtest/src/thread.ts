import { Worker } from "node:worker_threads"
import { messageOf } from "@headrace/core"
import { Effect, type Scope } from "effect"
import { LoadError } from "./error.ts"
import type { Answered, Asked, GeneratorTask, MeterTask, Requests } from "./messages.ts"

/** A thread that answers requests. It ends with its scope. */
export interface Thread {
  /** Fails when the request does, or when the thread dies. */
  readonly ask: <N extends keyof Requests>(
    name: N,
    body: Requests[N]["ask"]
  ) => Effect.Effect<Requests[N]["answer"], LoadError>
}

/** How long a thread may take to give everything up before it is terminated. */
const END_TIMEOUT = "3 seconds"

/** Starts a thread of this package for a task. */
export const openThread = (
  worker: string,
  task: GeneratorTask | MeterTask
): Effect.Effect<Thread, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => new Line(new Worker(worker, { workerData: task }), task.role)),
      line => end(line)
    ),
    line => ({ ask: (name, body) => ask(line, name, body) })
  )

const ask = <N extends keyof Requests>(line: Line, name: N, body: Requests[N]["ask"]) =>
  Effect.tryPromise({
    try: () => line.ask(name, body) as Promise<Requests[N]["answer"]>,
    catch: cause => new LoadError({ message: messageOf(cause) })
  })

/** Asks politely first: native clients like to be closed. A thread that is dead already has nothing to give up. */
const end = (line: Line): Effect.Effect<void> =>
  ask(line, "end", null).pipe(
    Effect.timeout(END_TIMEOUT),
    Effect.ignore,
    Effect.andThen(Effect.promise(() => line.terminate()))
  )

interface Waiting {
  readonly resolve: (body: unknown) => void
  readonly reject: (error: Error) => void
}

/** The messages to and from one thread. */
class Line {
  private readonly worker: Worker
  private readonly role: string
  private readonly waiting = new Map<number, Waiting>()
  private next = 0
  private dead: Error | undefined

  constructor(worker: Worker, role: string) {
    this.worker = worker
    this.role = role
    worker.on("message", (answer: Answered) => this.answered(answer))
    worker.on("error", error => this.died(`failed: ${messageOf(error)}`))
    worker.on("exit", code => this.died(`ended (code ${code})`))
  }

  ask(name: keyof Requests, body: unknown): Promise<unknown> {
    if (this.dead !== undefined) return Promise.reject(this.dead)
    const asked: Asked = { number: this.next++, name, body }
    return new Promise((resolve, reject) => {
      this.waiting.set(asked.number, { resolve, reject })
      this.worker.postMessage(asked)
    })
  }

  async terminate(): Promise<void> {
    await this.worker.terminate()
  }

  private answered(answer: Answered): void {
    const waiting = this.waiting.get(answer.number)
    this.waiting.delete(answer.number)
    if (answer.error === undefined) waiting?.resolve(answer.body)
    else waiting?.reject(new Error(answer.error))
  }

  private died(how: string): void {
    this.dead ??= new Error(`the load test's thread (${this.role}) ${how}`)
    for (const { reject } of this.waiting.values()) reject(this.dead)
    this.waiting.clear()
  }
}
