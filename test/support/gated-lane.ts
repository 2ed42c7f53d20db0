import { Blobs, type JobConfig, LaneMetrics, runLaneJob } from "@headrace/engine"
import { Effect } from "effect"
import type { Plan } from "headrace"
import { servicesOf } from "../../workers/services.ts"

/** Where the restores of a lane wait while it is shut. */
export class RestoreGate {
  /** Partitions whose restore waits here. */
  readonly waiting = new Set<number>()
  private passed = Promise.withResolvers<void>()

  shut(): void {
    this.passed = Promise.withResolvers()
  }

  open(): void {
    this.passed.resolve()
  }

  /** Every restore begins by asking which checkpoints there are. */
  around(blobs: Blobs["Service"]): Blobs["Service"] {
    const list: typeof blobs.list = prefix => Effect.andThen(this.pass(prefix), blobs.list(prefix))
    return { ...blobs, list }
  }

  private pass(prefix: string): Effect.Effect<void> {
    const partition = Number(/\/(\d+)\/$/.exec(prefix)?.[1])
    return Effect.promise(async () => {
      this.waiting.add(partition)
      await this.passed.promise
      this.waiting.delete(partition)
    })
  }
}

/** A lane in this thread, whose restores go through a gate (shut at first). It ends when it is stopped. */
export class GatedLane {
  readonly gate = new RestoreGate()
  readonly metrics = new LaneMetrics()
  private readonly running: Promise<void>
  private requestStop = (): void => {}

  constructor(plan: Plan, job: JobConfig) {
    const { metrics } = this
    const lane = runLaneJob({ plan, job, lane: 0, metrics }, handle => {
      this.requestStop = () => handle.offer({ type: "stop" })
    })
    const gated = Effect.flatMap(Blobs, blobs => Effect.provideService(lane, Blobs, this.gate.around(blobs)))
    this.running = Effect.runPromise(gated.pipe(Effect.provide(servicesOf(job))))
    // Awaited by `stop`; until then nobody listens.
    this.running.catch(() => {})
  }

  /** A clean stop: what is open is committed. Fails with what the lane failed with. */
  async stop(): Promise<void> {
    this.requestStop()
    await this.running
  }
}
