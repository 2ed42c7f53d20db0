import { ByteWriter, ChangeReader, entriesIn, type StoredBlock, writePut } from "@headrace/core"
import {
  type Blobs,
  type Clients,
  changelogName,
  checkpointAll,
  LaneMetrics,
  LogError,
  type LostOffsets,
  Outputs,
  type SavepointBlobs,
  type TopicPartition,
  transactionalIds
} from "@headrace/engine"
import { Effect, Logger, Result } from "effect"
import {
  advance,
  ChangelogWriter,
  Followers,
  openReplica,
  type PartitionProgress,
  RestoreProgress,
  restoreTask,
  settleReplica,
  type Task,
  untilRestored
} from "../src/engine.ts"
import { NO_FAULTS } from "../src/faults.ts"
import { nameOf } from "../src/log.ts"
import { planOf, SOURCE } from "../src/pipelines.ts"
import { SimSource } from "../src/source.ts"
import { changelogReader, storeServices } from "../src/store.ts"
import { APP, World } from "../src/world.ts"

const utf8 = new TextEncoder()
const text = new TextDecoder()
const INPUT = { topic: SOURCE, partition: 0 }
const LOG = { topic: changelogName(APP, SOURCE), partition: 0 }
const VALUE_START = 4
const STRIDE = 8

type State = Readonly<Record<string, string>>
export type Restored = { readonly offset: number; readonly state: State } | { readonly error: LogError }

/** One who follows the partition, a look at a time. */
export interface Follower {
  readonly gauges: LaneMetrics
  /** That were made so far. */
  readonly tasks: readonly { readonly closed: boolean }[]
  /** Answers with what it failed with, though nothing should make it. */
  readonly look: () => unknown
  /** What a lane finds that takes over what was followed; undefined if that is nothing. */
  readonly take: () => Restored | undefined
}

type RestoreOptions = Parameters<typeof restoreTask>[0]

/** The changelog, the offsets and the checkpoints of one partition, as a lane leaves them and as a restore finds them. */
export class Recovery {
  readonly world = new World(1, undefined, undefined)
  /** What was logged as an error. */
  readonly said: string[] = []
  /** As a warning. */
  readonly warned: string[] = []
  /** The offsets from which the changelog was read. */
  readonly read: string[] = []
  /** Those from which it was fetched before that. */
  readonly ahead: number[] = []
  /** What is left of the source's log. */
  range = { start: 0, end: 100 }
  patienceMs = -1
  readonly metrics = new LaneMetrics()
  readonly progress = new RestoreProgress(this.metrics)
  private readonly job = this.world.job("i")
  private readonly ids = transactionalIds(this.job, 0)
  private readonly writer = new ChangelogWriter(this.ids)
  private readonly written = new KeyValues()
  private readonly hooks = new Map<string, () => void>()

  constructor() {
    this.world.faults = NO_FAULTS
    this.world.log.create(LOG.topic, this.world.inputs().length)
    this.written.start({ committed: 0 })
  }

  /** One transaction up to source offset `to`; parts of it may be left out, as no lane would. */
  commit(to: number, changes: State, parts: { changelog?: boolean; offsets?: boolean; marked?: boolean } = {}): void {
    this.written.changed(changes)
    this.commitOf(this.written, to, parts)
  }

  /** The same of what changed in a task. */
  commitOf(task: Task, to: number, { changelog = true, offsets = true, marked = true } = {}): void {
    const { log, now } = this.world
    const outputs = new Outputs()
    this.writer.write(task, to, outputs, 0)
    const [id] = this.ids
    const epoch = log.session(id)
    if (changelog) for (const value of valuesOf(outputs)) log.append(id, epoch, log.at(LOG), recordOf(value), now)
    if (offsets) log.addOffsets(id, epoch, [{ name: nameOf(INPUT), offset: to }], now)
    log.end(id, epoch, "commit")
    // The offsets' marker comes first: what they stand for is not to be seen yet.
    for (const txn of log.ending) log.mark(txn, undefined)
    if (marked) this.mark()
  }

  /** Writes the markers that are left. */
  mark(): void {
    const { log } = this.world
    for (const txn of log.ending) for (const target of log.markers(txn)) log.mark(txn, target)
  }

  /** Writes a round of checkpoints; throws what it fails with. */
  checkpoint(options: Parameters<typeof checkpointAll>[2] = {}): void {
    const failure = this.run(
      checkpointAll(
        planOf("plain", () => Effect.never),
        this.job,
        options
      )
    )
    if (failure instanceof LogError) throw failure
  }

  /** What a lane finds that takes the partition over. */
  restore(lost: LostOffsets = "stop"): Restored {
    const task = new KeyValues()
    const result = this.restoreInto(task, lost)
    return result instanceof LogError ? { error: result } : { offset: result, state: task.state() }
  }

  /** What a lane comes to that takes it over and tries until it succeeds, or has to give up. */
  insist(): Restored {
    const task = new KeyValues()
    const result = this.run(untilRestored(INPUT, this, part => restoreTask(this.options("stop"), task, part)))
    return result instanceof LogError ? { error: result } : { offset: result.offset, state: task.state() }
  }

  /** The offset from which the task goes on. */
  restoreInto(task: Task, lost: LostOffsets = "stop"): number | LogError {
    const result = this.run(this.progress.during(part => restoreTask(this.options(lost), task, part)))
    return result instanceof LogError ? result : result.offset
  }

  /** Somebody who follows the partition, or not. */
  follower(wanted: () => readonly TopicPartition[] | undefined = () => [INPUT]): Follower {
    const tasks: KeyValues[] = []
    const makeTask = (): KeyValues => {
      const task = new KeyValues()
      tasks.push(task)
      return task
    }
    return { ...this.followerOf(makeTask, wanted), tasks }
  }

  /** The same with tasks that are made so. */
  followerOf(
    makeTask: () => Task,
    wanted: () => readonly TopicPartition[] | undefined = () => [INPUT]
  ): Omit<Follower, "tasks"> {
    const gauges = new LaneMetrics()
    const followers = new Followers({
      ...this.options("stop"),
      metrics: new LaneMetrics(),
      gauges,
      makeTask,
      wanted: Effect.sync(wanted)
    })
    const noOutputs = (): never => {
      throw new Error("nothing is emitted here")
    }
    return {
      gauges,
      look: () => this.run(followers.look()),
      take: () => {
        const task = followers.take(INPUT, noOutputs)
        if (task === undefined) return undefined
        const rest = (part: PartitionProgress) =>
          followers.withTaken(task, replica => settleReplica(this.options("stop"), replica, part))!
        const result = this.run(this.progress.during(rest))
        if (result instanceof LogError) return { error: result }
        return { offset: result.offset, state: (task as KeyValues).state() }
      }
    }
  }

  /** What those find who read on in one replica, one after the other: a follower, and a lane that was handed what that reads. */
  readers(count: number): readonly unknown[] {
    const options = this.options("stop")
    const found: unknown[] = []
    const each = (part: PartitionProgress) =>
      Effect.gen(function* () {
        const replica = yield* openReplica(options, new KeyValues(), part)
        for (let i = 0; i < count; i++) {
          const outcome = yield* Effect.result(advance(options, replica, part))
          found.push(Result.isSuccess(outcome) ? outcome.success : outcome.failure)
        }
      })
    this.run(this.progress.during(each))
    return found
  }

  private options(lost: LostOffsets): RestoreOptions {
    const { world } = this
    return {
      app: APP,
      source: { ...new SimSource(world, this, "m", 1).port(), range: () => Effect.succeed(this.range) },
      lost,
      metrics: this.metrics,
      changelog: {
        ...changelogReader(world, this),
        ahead: (_, from) => Effect.sync(() => void this.ahead.push(from))
      },
      changelogTopic: () => LOG.topic,
      patienceMs: this.patienceMs
    }
  }

  checkpoints(): readonly string[] {
    return [...this.world.disk.files.keys()].sort()
  }

  replace(name: string, change: (bytes: Uint8Array) => Uint8Array): void {
    this.world.disk.files.set(name, change(this.world.disk.files.get(name)!))
  }

  readonly input = INPUT
  readonly log = LOG
  readonly changelogName = nameOf(LOG)

  changelog() {
    return this.world.log.at(LOG).all()
  }

  /** As somebody might from outside: nothing is left. */
  trim(): void {
    const log = this.world.log.at(LOG)
    log.start = log.lso()
  }

  /** Does something when this remote call is about to be made. */
  before(label: string, hook: () => void): void {
    this.hooks.set(label, hook)
  }

  /** Takes or restores a savepoint; answers with what that came to, or with whatever it failed with. */
  save<A>(effect: Effect.Effect<A, unknown, Blobs | Clients | SavepointBlobs>): unknown {
    return this.run(effect)
  }

  /** The same of several at once: `turn` says whose next call is made, of those that have one. */
  saveTogether(
    effects: readonly Effect.Effect<unknown, unknown, Blobs | Clients | SavepointBlobs>[],
    turn: (of: number) => number
  ): readonly unknown[] {
    const { world } = this
    const results: unknown[] = effects.map(() => undefined)
    const owners = effects.map(() => ({}))
    for (const [i, effect] of effects.entries()) {
      const done = (result: unknown): void => void (results[i] = result)
      const quiet = Effect.provide(effect, Logger.layer([]))
      world.fork(owners[i]!, "ended", storeServices(world, owners[i]!), quiet, done, done)
    }
    world.drain()
    while (results.includes(undefined)) {
      const waiting = owners.flatMap(owner => world.calls.find(one => one.owner === owner && one.ready()) ?? [])
      const call = waiting[turn(waiting.length)]!
      world.cancel(call)
      call.run()
      world.drain()
    }
    return results
  }

  /** Makes the remote calls of an effect until it ends; answers with its result or its error. */
  private run<A>(effect: Effect.Effect<A, unknown, Blobs | Clients | SavepointBlobs>): A | LogError {
    const { world } = this
    const logger = Logger.make(({ logLevel, message }) => {
      if (logLevel === "Error") this.said.push(String(message))
      if (logLevel === "Warn") this.warned.push(String(message))
    })
    const owner = {}
    let ended: { readonly result: A | LogError } | undefined
    const done = (result: A | LogError): void => {
      ended = { result }
    }
    const logged = Effect.provide(effect, Logger.layer([logger]))
    world.fork(owner, "ended", storeServices(world, owner), logged, done, error => done(error as LogError))
    world.drain()
    while (ended === undefined) {
      const call = world.calls.find(one => one.ready())
      if (call === undefined) throw new Error("Nothing is under way, and it has not ended")
      const [, from] = new RegExp(`^read ${this.changelogName} from ([a-z0-9]+)$`).exec(call.label) ?? []
      if (from !== undefined) this.read.push(from)
      const hook = this.hooks.get(call.label)
      this.hooks.delete(call.label)
      world.cancel(call)
      hook?.()
      call.run()
      world.drain()
    }
    return ended.result
  }
}

const recordOf = (value: Uint8Array) => ({ key: undefined, value, timestamp: 0 })

const valuesOf = ({ data, index, count }: Outputs): readonly Uint8Array[] =>
  Array.from({ length: count }, (_, i) => {
    const start = index[i * STRIDE + VALUE_START]!
    return data.bytes.slice(start, start + index[i * STRIDE + VALUE_START + 1]!)
  })

/** A task whose state is keys and values. */
export class KeyValues implements Task {
  readonly internal = false
  readonly topic = INPUT.topic
  readonly partition = INPUT.partition
  private readonly values = new Map<string, string>()
  private changes: State = {}
  private beganAt = 0

  state(): State {
    return Object.fromEntries([...this.values].sort())
  }
  changed(changes: State): void {
    this.changes = changes
  }
  reset(): void {
    this.values.clear()
  }
  start({ committed }: { readonly committed: number }): void {
    this.beganAt = committed
  }
  end(): boolean {
    return false
  }
  halt(): boolean {
    return false
  }
  goOn(): void {}
  halted(): boolean {
    return false
  }
  startedAt(): number {
    return this.beganAt
  }
  delta(out: ByteWriter): void {
    for (const [key, value] of Object.entries(this.changes)) writePut(out, bytesOf(key), bytesOf(value))
  }
  restore({ bytes }: StoredBlock): number {
    const entries = [...entriesIn(bytes)]
    for (const [key, value] of entries) this.put(key, value)
    return entries.length
  }
  apply(changes: Uint8Array): void {
    const reader = new ChangeReader(changes)
    while (reader.next()) this.put(reader.key(), reader.value()!)
  }
  private put(key: Uint8Array, value: Uint8Array): void {
    this.values.set(text.decode(key), text.decode(value))
  }
  process(): void {}
  pass(): void {}
  pending(): boolean {
    return false
  }
  proceed(): number {
    return 0
  }
  release(): void {}
  nextOffset(): number {
    return this.committable()
  }
  readTo(): number {
    return this.committable()
  }
  holdBack(): void {}
  committable(): number {
    return 0
  }
  inFlight(): number {
    return 0
  }
  closable(): boolean {
    return true
  }
  mayWait(): boolean {
    return false
  }
  touched(): boolean {
    return true
  }
  openMatches(): readonly [] {
    return []
  }
  sizes(): readonly [] {
    return []
  }
  watermark(): number {
    return 0
  }
  interrupt(): void {}
  closed = false
  close(): void {
    this.closed = true
  }
}

const bytesOf = (value: string): ByteWriter => {
  const out = new ByteWriter(16)
  const bytes = utf8.encode(value)
  out.copy(bytes, 0, bytes.length)
  return out
}
