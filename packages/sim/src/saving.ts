import {
  BlobError,
  createSavepoint,
  type Halt,
  LogError,
  type Manifest,
  partitionsOf,
  type Rests,
  restoreSavepoint,
  SavepointError,
  SEPARATOR
} from "@headrace/engine"
import { Effect } from "effect"
import type { Plan } from "headrace"
import { checkpointName } from "./engine.ts"
import type { Faults } from "./faults.ts"
import type { Inputs } from "./inputs.ts"
import { nameOf, type Partition } from "./log.ts"
import { type ToolServices, toolServices } from "./toolServices.ts"
import { APP, type World } from "./world.ts"

/** What a job was until it was saved, and what it went on from: for the checker. */
export interface Life {
  /** All topics as they were then. */
  readonly topics: ReadonlyMap<string, readonly Partition[]>
  /** Where the savepoint stands in a partition that the job read. */
  readonly offset: (partition: Partition) => number
  /** Sources were made anew, with other partitions. */
  readonly moved: boolean
  /** Where each partition goes on, and the state that it has there, as a checkpoint. */
  readonly begins: ReadonlyMap<string, { readonly offset: number; readonly state: Uint8Array }>
}

/** The job that is saved, as far as that is a matter of its processes. */
export interface Saved {
  readonly inputs: Inputs
  /** All that came in is committed, and nothing is on its way. */
  readonly consumed: () => boolean
  readonly atRest: () => boolean
  readonly gone: () => boolean
  /** Tells lanes that have not heard of it, also those that were started again. */
  readonly halt: (halt: Halt) => void
  readonly resume: () => void
  readonly stop: () => void
}

type Phase = "waiting" | "consuming" | "halting" | "ending" | "creating" | "restoring" | "done"

/** Steps before which a savepoint begins, and within which each of its phases has to come to its end. */
const BEGINS_WITHIN = 900
const PHASE_STEPS = 6_000
/** Of a phase that does not come to its end as long as things go wrong. */
const FAULTY_STEPS = 800
/** What fails so often does not come to its end. */
const MOST_TRIES = 50
const KILLED = 0.004
/** Few things happen while no lane runs: time goes faster. */
const ALONE_MS = 20
const MOST_PARTITIONS = 3

/**
 * A savepoint in the life of a job: it ends with one and goes on from it, in the same partitions or in others. What takes
 * and restores it is the engine's own, in processes that are killed as others are, and started again.
 */
export class Saving {
  private readonly world: World
  private readonly plan: Plan
  private readonly job: Saved
  private readonly at: number
  /** In other partitions, made anew. */
  private readonly moves: boolean
  /** The job rests for a moment and goes on, and what was saved is only looked at. */
  private readonly beside: boolean
  private halts = 0
  private phase: Phase = "waiting"
  private since = 0
  private tries = 0
  /** Tries that failed for something else than the disk. */
  private failures = 0
  /** The process that takes or restores the savepoint. */
  private tool: object | undefined
  private manifest: Manifest | undefined
  /** Of the run, while it is calm. */
  private faults: Faults | undefined

  constructor(world: World, plan: Plan, job: Saved) {
    this.world = world
    this.plan = plan
    this.job = job
    this.at = world.random.int(50, BEGINS_WITHIN)
    // What was agreed on before would not be in the log that is there at the end, which the checker goes by.
    const stays = plan.nodes.some(({ kind }) => kind === "dynamicPattern")
    this.moves = !stays && world.random.chance(0.5)
    this.beside = !this.moves && (stays || world.random.chance(0.5))
  }

  /** It has begun, and the job has not gone on yet. */
  get active(): boolean {
    return this.phase !== "waiting" && this.phase !== "done"
  }

  /** Processes are not killed, nor started again where that is not part of it. */
  get faulty(): boolean {
    return !this.active || (this.faults === undefined && (this.phase === "consuming" || this.phase === "halting"))
  }
  get starting(): boolean {
    return this.beside || (this.phase !== "ending" && this.phase !== "creating" && this.phase !== "restoring")
  }

  /** Called before each step of the simulation. */
  advance(): void {
    const { world, job } = this
    if (this.active && world.step - this.since > PHASE_STEPS)
      return world.violation(`stalled: the savepoint is still ${this.phase}`)
    if (this.active && world.step - this.since > FAULTY_STEPS && this.faults === undefined) this.calm()
    switch (this.phase) {
      case "waiting":
        if (world.step < this.at) return
        job.inputs.paused = this.moves
        return this.rest(this.moves ? "consuming" : "halting")
      case "consuming":
        if (job.consumed()) this.rest("halting")
        return
      case "halting":
        if (world.sabotage !== "savepointInFlight") job.halt({ number: this.halts, drain: false })
        if (!job.atRest() && world.sabotage !== "savepointInFlight") return
        if (this.beside) return this.enter("creating")
        world.frozen.clear()
        job.stop()
        return this.enter("ending")
      case "ending":
        if (!job.gone()) return
        // What nobody waits for any more still arrives, or times out.
        world.now += ALONE_MS
        if (!world.log.anyOpen() && !this.late) this.enter("creating")
        return
      case "creating":
        return this.working(() => this.create())
      case "restoring":
        return this.working(() => this.restore())
      case "done":
    }
  }

  private rest(phase: Phase): void {
    this.halts++
    this.enter(phase)
  }

  /** Requests of processes that are gone are on their way. */
  private get late(): boolean {
    return this.world.calls.some(({ owner, label }) => owner === undefined && label.startsWith(`${APP}${SEPARATOR}`))
  }

  /** With so much that goes wrong it would never end. */
  private calm(): void {
    const { world } = this
    this.faults = world.faults
    world.calm()
  }

  private enter(phase: Phase): void {
    this.world.trace(`savepoint: ${phase}`)
    this.phase = phase
    this.since = this.world.step
  }

  /** Begins anew what was killed, or has failed. */
  private working(begin: () => void): void {
    const { world, tool } = this
    if (tool !== undefined && !this.beside && world.random.chance(KILLED)) {
      world.inject("savepoint killed")
      world.dropCallsOf(tool)
      this.tool = undefined
    }
    if (!this.beside) world.now += ALONE_MS
    if (this.tool === undefined) begin()
  }

  private create(): void {
    const savepoint = { id: `s${this.tries++}`, digest: "", headrace: "", createdAt: "", drained: false }
    const rests: Rests = look => Effect.ensuring(look, Effect.sync(this.job.resume))
    const job = this.world.job("tool")
    this.run(createSavepoint(this.plan, job, savepoint, Effect.void, this.beside ? rests : undefined), manifest => {
      this.manifest = manifest
      if (this.beside) return this.taken(manifest)
      this.move(topic => (this.moves ? this.world.random.int(1, MOST_PARTITIONS) : this.countOf(topic)))
      this.enter("restoring")
    })
  }

  private taken(manifest: Manifest): void {
    const { world } = this
    world.inject("savepoint beside the job")
    world.saved = ({ topic, partition }) => partitionsOf(manifest, topic)[partition]?.sourceOffset ?? 0
    // Where there is one stage nobody has to rest.
    this.job.resume()
    this.end()
  }

  private end(): void {
    this.world.faults = this.faults ?? this.world.faults
    this.enter("done")
  }

  private countOf(topic: string): number {
    return partitionsOf(this.manifest!, topic).length
  }

  /** Remembers what was, and makes the sources anew, where they move. */
  private move(count: (topic: string) => number): void {
    const { world, manifest } = this
    world.life ??= {
      topics: new Map(world.log.topics),
      offset: ({ topic, partition }) => partitionsOf(manifest!, topic)[partition]?.sourceOffset ?? 0,
      moved: this.moves,
      begins: new Map()
    }
    if (this.moves) for (const topic of world.sourceTopics) world.log.create(topic, count(topic))
  }

  private restore(): void {
    const { world, plan } = this
    const options = {
      id: this.manifest!.id,
      allowNonRestored: false,
      force: true,
      renamed: new Map(),
      fromEarliest: this.moves
    }
    this.run(restoreSavepoint(plan, world.job("tool"), options), ({ sources }) => {
      const begins = sources.flatMap(({ positions }) =>
        positions.map(position => {
          const state = world.disk.files.get(checkpointName(APP, position, 0))!
          return [nameOf(position), { offset: position.offset, state }] as const
        })
      )
      world.life = { ...world.life!, begins: new Map(begins) }
      world.inject(
        sources.some(({ survey }) => survey !== undefined) ? "savepoint restored elsewhere" : "savepoint restored"
      )
      world.group.reads(world.consumed())
      world.align(plan)
      if (this.moves) this.job.inputs.moved()
      this.job.inputs.paused = false
      this.end()
    })
  }

  private run<A>(effect: Effect.Effect<A, unknown, ToolServices>, done: (value: A) => void): void {
    const { world } = this
    const tool = {}
    this.tool = tool
    const ended = (then: () => void): void => {
      if (this.tool !== tool) return
      this.tool = undefined
      then()
    }
    world.fork(
      tool,
      `savepoint ${this.phase} ended`,
      toolServices(world, tool),
      effect,
      value => ended(() => done(value)),
      error => ended(() => this.failed(error))
    )
  }

  /** It is tried again; where event time of partitions that become one stands apart, with as many partitions as before. */
  private failed(error: unknown): void {
    const { world } = this
    world.trace(`savepoint: ${error}`)
    if (!(error instanceof SavepointError || error instanceof LogError || error instanceof BlobError))
      return world.violation(`the savepoint failed: ${error instanceof Error ? error.stack : error}`)
    // A disk that is full has room again some time.
    if (!(error instanceof BlobError)) this.failures++
    if (this.failures > MOST_TRIES) return world.violation(`stalled: the savepoint fails again and again: ${error}`)
    if (this.beside) {
      this.job.resume()
      return this.rest("halting")
    }
    if (this.phase === "restoring" && KEEPS.test(error.message)) this.move(topic => this.countOf(topic))
  }
}

const KEEPS = /[Kk]eep the number of partitions/
