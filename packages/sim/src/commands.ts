import { changelogName, LaneMetrics, LogError } from "@headrace/engine"
import { Effect, type Fiber } from "effect"
import {
  type Command,
  type Departed,
  type Event,
  type Followers,
  type PartitionProgress,
  type Restored,
  RestoreProgress,
  restoreTask,
  settleReplica,
  type Task,
  untilRestored
} from "./engine.ts"
import { nameOf } from "./log.ts"
import type { SimProducer } from "./producer.ts"
import type { SimSource } from "./source.ts"
import { changelogReader, storeServices } from "./store.ts"
import { APP, type CallOptions, type World } from "./world.ts"

/** Longer than several transactions may hang one after the other. */
const RESTORE_PATIENCE_MS = 60_000
/** The process stands still for as long as this. */
const STILL_MS = 3_000

export interface CommandParts {
  readonly world: World
  /** Whose calls they are: with it they are gone. */
  readonly owner: object
  readonly name: string
  readonly source: SimSource
  readonly producers: readonly [SimProducer, SimProducer]
  readonly followers: Followers
  readonly departed: Departed
  /** What became of a command. */
  readonly answer: (event: Event) => void
}

/** What is carried out: the rest is the node's own. */
export type Performed = Exclude<Command, { type: "process" | "fail" }>
type Of<T extends Performed["type"]> = Extract<Performed, { type: T }>

/** Carries out what a lane asks for, as production's interpreter does: by calls that the simulation answers when it picks them. */
export class Commands {
  private readonly parts: CommandParts
  /** Calls that move partitions, which are under way. */
  private moves = 0
  /** One of them is carried out, and not answered: the client does the next call after it. */
  private answering = false
  private readonly restores = new Map<Task, Fiber.Fiber<unknown, unknown>>()
  /** Partitions whose state was here, and which were not given back since: one that is restored again was thrown away by an abort. */
  private readonly had = new Set<string>()

  constructor(parts: CommandParts) {
    this.parts = parts
  }

  /** A call under way moves partitions. */
  get moving(): boolean {
    return this.moves > 0
  }

  perform(command: Performed): void {
    const { source, answer } = this.parts
    switch (command.type) {
      case "poll":
        return this.poll(command)
      case "relieve":
        return this.call(command, () => answer({ type: "relieve" }))
      case "produce":
      case "flush":
      case "sendOffsets":
      case "commit":
      case "initialise":
        return this.transact(command, this.parts.producers[command.turn])
      case "restore":
        return this.restore(command)
      case "abandon":
        return this.abandon(command)
      case "take":
      case "pause":
        return this.move(command, () => {
          source[command.type](command.tasks)
          return { type: "held", tasks: command.tasks }
        })
      case "seek":
        return this.move(command, () => {
          source.place(command.positions)
          return { type: "sought" }
        })
      case "unassign":
        return this.move(command, () => {
          source.unassign(command.partitions)
          for (const one of command.partitions) this.had.delete(nameOf(one))
          return { type: "unassigned" }
        })
      case "close":
        return this.call(command, () => {
          source.close()
          answer({ type: "closed" })
        })
    }
  }

  private poll(command: Of<"poll">): void {
    const { world, name, source, answer } = this.parts
    source.begin()
    const still = world.random.chance(world.faults.fail / 4)
    if (still) world.inject("lane stands still")
    const poll = () => {
      if (world.random.chance(world.faults.fail / 4)) throw new LogError("Retry", "simulated poll failure")
      const polled = source.poll(command.maxRecords)
      for (const change of polled.changes)
        world.trace(`    ${name} ${change.type} ${change.partitions.map(one => one.partition)}`)
      answer({ type: "polled", ...polled })
    }
    const due = still ? world.now + world.random.int(1, STILL_MS) : 0
    this.call(command, poll, { weight: 2, due, ready: () => !this.answering })
  }

  private transact(
    command: Of<"produce" | "flush" | "sendOffsets" | "commit" | "initialise">,
    producer: SimProducer
  ): void {
    const { source, answer } = this.parts
    const { turn } = command
    const failed = (error: LogError) => this.failed(command, error)
    switch (command.type) {
      case "produce": {
        const produce = () => {
          if (command.begin) producer.begin()
          producer.produce(command.outputs)
          answer({ type: "produced", turn })
        }
        return this.call(command, produce, { ready: () => !producer.ending })
      }
      case "flush":
        return producer.flush(() => answer({ type: "flushed", turn }), failed)
      case "sendOffsets":
        return producer.sendOffsets(command.offsets, source, () => answer({ type: "offsetsSent", turn }), failed)
      case "commit":
        return producer.commit(() => answer({ type: "committed", turn, poisoned: producer.poisoned }), failed)
      case "initialise":
        return producer.initialise(() => answer({ type: "initialised", turn }))
    }
  }

  private abandon({ tasks }: Of<"abandon">): void {
    for (const task of tasks) {
      const fiber = this.restores.get(task)
      if (fiber === undefined) task.close()
      fiber?.addObserver(() => task.close())
      fiber?.interruptUnsafe()
    }
  }

  /** From where a follower left it, or from the log; and what dead lanes left open there is ended. */
  private restore(command: Extract<Command, { type: "restore" }>): void {
    const { world, owner, name, followers, departed, answer } = this.parts
    const { task } = command
    const options = {
      app: APP,
      source: this.parts.source.port(),
      changelog: changelogReader(world, owner),
      changelogTopic: (topic: string) => changelogName(APP, topic),
      patienceMs: RESTORE_PATIENCE_MS,
      lost: "stop" as const,
      metrics: new LaneMetrics()
    }
    const forgets = world.sabotage === "stateNotRestored" && this.had.has(nameOf(task))
    const cold = (task: Task, part: PartitionProgress) => restoreTask(options, forgets ? forgetful(task) : task, part)
    const believed = (task: Task) =>
      Effect.map(options.source.committed([task]), ([committed = 0]) => ({
        topic: task.topic,
        partition: task.partition,
        offset: committed,
        committed
      }))
    const warm = (task: Task, part: PartitionProgress) =>
      followers.withTaken(task, replica => {
        world.inject("followed state taken over")
        return world.sabotage === "followedBelieved" ? believed(task) : settleReplica(options, replica, part)
      })
    const gauges = { progress: new RestoreProgress(options.metrics), metrics: options.metrics }
    const one = untilRestored(task, gauges, part => warm(task, part) ?? cold(task, part))
    const done = (at: Restored) => {
      this.had.add(nameOf(task))
      answer({ type: "restored", task, at })
    }
    const fiber = world.fork(
      owner,
      `${name} restored ${task.partition}`,
      storeServices(world, owner),
      one,
      done,
      error => this.failed(command, error instanceof LogError ? error : new LogError("Stop", `restore: ${error}`))
    )
    this.restores.set(task, fiber)
    // It ends by its time-out where the cluster does not do it; anything else is a fault of ours.
    const failedTo = (error: unknown) => {
      const text = `${name} did not end what dead lanes left open: ${error}`
      return error instanceof LogError ? world.trace(text) : world.violation(text)
    }
    world.fork(owner, `${name} settled`, world.services(owner), departed.settle(), () => {}, failedTo)
  }

  /** The group may go on before the lane hears that it can. What fails has not happened; a seek is made again by the client. */
  private move(command: Of<"take" | "pause" | "seek" | "unassign">, run: () => Event): void {
    const { world, owner, name, answer } = this.parts
    this.moves++
    const moved = () => {
      if (command.type !== "seek" && world.random.chance(world.faults.fail / 6)) {
        world.inject("move refused")
        throw new LogError("Retry", `simulated failure of ${command.type}`)
      }
      const event = run()
      this.answering = true
      world.reply(owner, `${name} ${command.type}`, () => {
        this.answering = false
        this.moves--
        answer(event)
      })
    }
    this.call(command, moved, { ready: () => !this.answering })
  }

  private call(command: Performed, run: () => void, options: CallOptions = {}): void {
    const { world, owner, name } = this.parts
    const guarded = () => {
      try {
        run()
      } catch (error) {
        if (!(error instanceof LogError)) throw error
        this.failed(command, error)
      }
    }
    world.call(owner, `${name} ${command.type}`, guarded, options)
  }

  private failed(command: Performed, error: LogError): void {
    const { world, answer } = this.parts
    world.trace(`    ${error.message}`)
    const turn = "turn" in command ? { turn: command.turn } : {}
    const task = command.type === "restore" ? { task: command.task } : {}
    const type = command.type === "commit" && world.sabotage === "unknownRepeated" ? "sendOffsets" : command.type
    answer({ type: "failed", command: type, error, ...turn, ...task })
  }
}

/** Starts where the log says, with nothing of what it says. */
const forgetful = (task: Task): Task =>
  Object.assign(Object.create(task) as Task, { restore: () => {}, apply: () => {}, reset: () => {} })

/** For the trace. */
export const describe = (command: Command): string => {
  if ("tasks" in command) return `${command.type} ${command.tasks.map(task => task.partition)}`
  if (command.type === "restore") return `restore ${command.task.partition}`
  if ("positions" in command) return `${command.type} ${command.positions.map(one => `${one.partition}@${one.offset}`)}`
  if (command.type === "sendOffsets")
    return `sendOffsets ${command.turn} ${command.offsets.map(one => `${one.partition}@${one.offset}`)}`
  if ("partitions" in command) return `${command.type} ${command.partitions.map(one => one.partition)}`
  return "turn" in command ? `${command.type} ${command.turn}` : command.type
}
