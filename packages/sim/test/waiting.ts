/** Partitions of several processes that wait for each other, without anything else of a lane: a clock that ticks, and logs. */
import { type AlignedPartition, Elsewhere, GroupClocks, LaneMetrics, LogError, type Mark } from "@headrace/engine"
import { Effect } from "effect"
import { Alignment, type Task } from "../src/engine.ts"

export const IDLE_MS = 5_000
export const DRIFT_MS = 1_000
const TICK_MS = 100
/** Between two looks at the others: of a process in which nothing is held back, and of one in which something is. */
const LOOK_MS = 1_000
const TOPIC = "t"

export interface Record {
  /** When it is written, and its event time: both in ms. */
  readonly written: number
  readonly at: number
}

export interface Log {
  readonly records: readonly Record[]
  /** Read and committed before this begins. */
  readonly before: number
  readonly process: number
  readonly lane: number
}

/** A partition, as the lane that has it sees it. */
export class Reader implements Pick<Task, "topic" | "partition" | "watermark" | "nextOffset" | "readTo" | "holdBack"> {
  readonly topic = TOPIC
  readonly partition: number
  readonly log: Log
  position: number
  isHeld = false
  /** What its next stage is told. */
  mayBeIdle = true

  constructor(partition: number, log: Log) {
    this.partition = partition
    this.log = log
    this.position = log.before
  }

  watermark(): number {
    return this.log.records[this.position - 1]?.at ?? Number.NEGATIVE_INFINITY
  }
  nextOffset(): number {
    return this.position
  }
  readTo(): number {
    return this.position
  }
  holdBack(isHeld: boolean): void {
    this.mayBeIdle = !isHeld
  }

  end(now: number): number {
    const { records } = this.log
    const next = records.findIndex(({ written }) => written > now)
    return next < 0 ? records.length : next
  }
  get mark(): Mark | undefined {
    const { partition, position } = this
    if (position === 0) return undefined
    return { topic: TOPIC, partition, offset: position, metadata: `watermark=${this.watermark()}` }
  }
}

interface Lane {
  readonly alignment: Alignment
  readonly readers: readonly Reader[]
}

interface Process {
  readonly elsewhere: Elsewhere
  readonly lanes: readonly Lane[]
  lookAt: number
}

export class Waiting {
  now = 0
  readonly readers: readonly Reader[]
  /** Whether the ends of logs can be read. */
  seesEnds = true
  private readonly processes: readonly Process[]
  private readonly recordsAtOnce: number
  private readonly metrics = new LaneMetrics()

  constructor(logs: readonly Log[], recordsAtOnce = 1) {
    this.recordsAtOnce = recordsAtOnce
    this.readers = logs.map((log, partition) => new Reader(partition, log))
    const partitions = logs.map((_, partition) => ({
      topic: TOPIC,
      partition,
      group: 0,
      maxDriftMs: DRIFT_MS,
      idleMs: IDLE_MS
    }))
    const names = [...new Set(logs.map(({ process }) => process))]
    this.processes = names.map(name => this.process(partitions, name))
  }

  /** Ticks until then; `read` is called with each partition that is about to read a record. */
  run(until: () => boolean, read: (reader: Reader) => void = () => {}): void {
    while (!until()) {
      this.now += TICK_MS
      for (const process of this.processes) this.tick(process, read)
    }
  }

  private process(partitions: readonly AlignedPartition[], name: number): Process {
    const own = this.readers.filter(({ log }) => log.process === name)
    const lanes = Math.max(...own.map(({ log }) => log.lane)) + 1
    const clocks = GroupClocks.bufferOf(partitions, lanes)
    const options = {
      partitions,
      clocks,
      marks: this.asked(({ mark }) => mark),
      ends: (places: readonly { readonly partition: number }[]) =>
        this.seesEnds
          ? this.asked(reader => reader.end(this.now))(places)
          : Effect.fail(new LogError("Retry", "the leader is away")),
      held: () => own.some(({ isHeld }) => isHeld)
    }
    return {
      elsewhere: new Elsewhere(options, this.now),
      lanes: Array.from({ length: lanes }, (_, lane) => ({
        alignment: new Alignment(partitions, lane, clocks),
        readers: own.filter(({ log }) => log.lane === lane)
      })),
      lookAt: 0
    }
  }

  private asked<A>(of: (reader: Reader) => A) {
    return (places: readonly { readonly partition: number }[]) =>
      Effect.sync(() => places.map(({ partition }) => of(this.readers[partition]!)))
  }

  private tick(process: Process, read: (reader: Reader) => void): void {
    const { lanes, elsewhere } = process
    for (const { alignment, readers } of lanes) {
      for (const reader of readers) if (!reader.isHeld) this.read(reader, read)
      const tasks = readers as readonly unknown[] as readonly Task[]
      const isHeld = (task: Task) => this.readers[task.partition]!.isHeld
      const { ahead, caughtUp } = alignment.look(tasks, isHeld, this.now, this.now, this.metrics)
      for (const { partition } of ahead) this.readers[partition]!.isHeld = true
      for (const { partition } of caughtUp) this.readers[partition]!.isHeld = false
    }
    const isHeld = lanes.some(({ readers }) => readers.some(reader => reader.isHeld))
    if (this.now < process.lookAt && !isHeld) return
    process.lookAt = this.now + LOOK_MS
    Effect.runSync(elsewhere.look(this.now, this.now))
  }

  private read(reader: Reader, read: (reader: Reader) => void): void {
    const end = Math.min(reader.end(this.now), reader.position + this.recordsAtOnce)
    if (end === reader.position) return
    read(reader)
    reader.position = end
  }
}
