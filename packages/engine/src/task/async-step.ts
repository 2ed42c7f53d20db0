import type { Input } from "@headrace/core"
import { Cause, type Context, Effect, Exit, type Fiber } from "effect"
import { DeadLettered } from "headrace"
import { LogError, type TopicPartition } from "../ports/log.ts"
import { putBack, type RecordContext, type SavedContext, save } from "./context.ts"
import { nameOf, textOf } from "./dead-letter.ts"

/** What waits in the ring: a record under way, or a watermark behind the records before it. */
type Item =
  | {
      readonly kind: "record"
      readonly record: object
      readonly timestamp: number
      readonly saved: SavedContext
      readonly key: unknown
      /** The source's clock before this record: what a commit of the prefix before it stands for. */
      readonly clock: number
      exit: Exit.Exit<object | DeadLettered> | undefined
      fiber: Fiber.Fiber<object | DeadLettered> | undefined
    }
  | { readonly kind: "watermark"; readonly watermark: number }

export interface AsyncStepOptions {
  /** The step's name and the partition that it works for: an error says where it happened. */
  readonly name: string
  readonly partition: TopicPartition
  readonly run: (record: never) => Effect.Effect<object | DeadLettered, never, unknown>
  readonly concurrency: number
  readonly services: Context.Context<unknown>
  readonly context: RecordContext
  /** The key of a keyed stream goes along with the record. */
  readonly saveKey: () => unknown
  readonly restoreKey: (key: unknown) => void
  readonly clock: () => number
  readonly deadLetter: (topic: string, error: unknown) => void
  /** Something finished: `release` is to be called, from outside of any other call. */
  readonly onFinished: () => void
  readonly downstream: Input
}

/**
 * An asynchronous step: up to `concurrency` effects at a time, results in the order of the records, watermarks behind
 * the records that they follow. The lane bounds what waits here by not polling. A result that is there at once costs no
 * wait; late completions of an interrupted step are dropped.
 */
export class AsyncStep implements Input {
  private readonly options: AsyncStepOptions
  private items: Item[] = []
  private head = 0
  private running = 0
  private nextToStart = 0
  private closed = false

  constructor(options: AsyncStepOptions) {
    this.options = options
  }

  /** Records that have not left the step. */
  get size(): number {
    return this.items.length - this.head
  }
  /** The oldest record under way; undefined when there is none. */
  get oldest(): { readonly offset: number; readonly clock: number } | undefined {
    for (let i = this.head; i < this.items.length; i++) {
      const item = this.items[i]!
      if (item.kind === "record") return { offset: item.saved.offset, clock: item.clock }
    }
    return undefined
  }

  next(record: object, timestamp: number): void {
    const { context, saveKey, restoreKey, clock } = this.options
    const saved = save(context, true)
    const key = saveKey()
    this.items.push({
      kind: "record",
      record,
      timestamp,
      saved,
      key,
      clock: clock(),
      exit: undefined,
      fiber: undefined
    })
    this.begin()
    const first = this.items[this.head]
    if (first?.kind === "record" && first.exit === undefined) return
    // Delivering moves context and key to earlier records; steps beside this one still need the current ones.
    const place = { ...context }
    this.release()
    Object.assign(context, place)
    restoreKey(key)
  }

  watermark(watermark: number): void {
    if (this.size === 0) this.options.downstream.watermark(watermark)
    else this.items.push({ kind: "watermark", watermark })
  }

  /** Hands on what is finished, in order. */
  release(): void {
    while (this.head < this.items.length) {
      const item = this.items[this.head]!
      if (item.kind === "record" && item.exit === undefined) break
      this.head++
      if (item.kind === "watermark") this.options.downstream.watermark(item.watermark)
      else this.deliver(item)
    }
    this.compact()
  }

  interrupt(): void {
    this.closed = true
    for (let i = this.head; i < this.items.length; i++) {
      const item = this.items[i]!
      if (item.kind === "record") item.fiber?.interruptUnsafe()
    }
    this.items = []
    this.head = this.nextToStart = 0
  }

  private begin(): void {
    while (this.running < this.options.concurrency && this.nextToStart < this.items.length) {
      const item = this.items[this.nextToStart++]!
      if (item.kind === "record") this.start(item)
    }
  }

  private start(item: Extract<Item, { kind: "record" }>): void {
    const effect = this.options.run(item.record as never)
    if (Exit.isExit(effect)) {
      item.exit = effect as Exit.Exit<object | DeadLettered>
      return
    }
    const fiber = Effect.runForkWith(this.options.services)(effect)
    const exit = fiber.pollUnsafe()
    if (exit !== undefined) {
      item.exit = exit
      return
    }
    item.fiber = fiber
    this.running++
    fiber.addObserver(result => this.finished(item, result))
  }

  private finished(item: Extract<Item, { kind: "record" }>, exit: Exit.Exit<object | DeadLettered>): void {
    if (this.closed) return
    item.exit = exit
    item.fiber = undefined
    this.running--
    this.begin()
    this.options.onFinished()
  }

  private deliver(item: Extract<Item, { kind: "record" }>): void {
    const { context, restoreKey, downstream, deadLetter } = this.options
    const exit = item.exit!
    if (Exit.isFailure(exit)) throw this.failure(exit.cause, item.saved.offset)
    putBack(context, item.saved)
    restoreKey(item.key)
    if (exit.value instanceof DeadLettered) deadLetter(exit.value.topic, exit.value.error)
    else downstream.next(exit.value, item.timestamp)
  }

  /**
   * A typed error got past the compiler, which `headrace run` does not ask: the same record would raise it again after
   * each restart. A defect may pass.
   */
  private failure(cause: Cause.Cause<unknown>, offset: number): Error {
    const { name, partition } = this.options
    const where = `at ${partition.topic}/${partition.partition} offset ${offset}`
    const typed = cause.reasons.find(Cause.isFailReason)
    if (typed === undefined) return new Error(`${name} died ${where}: ${Cause.pretty(cause)}`)
    const { error } = typed
    return new LogError(
      "Stop",
      `${name} failed with ${nameOf(error)} ${where}: ${textOf(error)}. ` +
        "Handle it with catchTag, by a replacement or DeadLetter.to(topic); tsc names the errors that are not handled.",
      { cause: error }
    )
  }

  /** Forgets delivered items now and then, so that the array does not grow and delivering stays constant. */
  private compact(): void {
    if (this.head === this.items.length) {
      this.items.length = 0
      this.nextToStart = this.head = 0
    } else if (this.head > 1024) {
      this.items.splice(0, this.head)
      this.nextToStart -= this.head
      this.head = 0
    }
  }
}
