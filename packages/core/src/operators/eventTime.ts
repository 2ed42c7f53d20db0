import { ByteWriter } from "../bytes.ts"
import { type Key, type Keyed, keyed, writeKey } from "../key.ts"
import { type Input, NO_WATERMARK } from "../operator.ts"
import { NotedState } from "../state/noted.ts"
import { OperatorState, type StateHandle } from "../state/operator.ts"
import { type NamedStateSchema, type StateDefinition, stepDefinition } from "../state/schema.ts"
import type { Shape } from "../state/shape.ts"
import { KeyTimes } from "./reach.ts"

/** What is kept by key, and may become due. */
export interface KeyedState extends StateHandle {
  /** Whether there is something that is due by the time. At the end of time all is that has one. */
  readonly isDue: (time: number) => boolean
}

/** State by key of an operator, and how a savepoint is told about it. */
export interface KeyedPart {
  readonly schema: NamedStateSchema
  readonly cells: KeyedState
}

/** What is kept by key under a name. `timed`: each of it is due at some time, which stands in its entries. */
export const keyedPart = (
  name: string,
  kind: NamedStateSchema["kind"],
  timed: boolean,
  cells: KeyedState,
  shape: Shape = "any"
): KeyedPart => ({ schema: { name, kind, ttl: timed, shape }, cells })

export interface EventTimeOptions {
  readonly id: string
  readonly output: Input
  /**
   * What one watermark does at once of what has become due; the rest waits for `proceed`, so that a hundred thousand
   * windows do not hold up their partition. Default: all.
   */
  readonly atOnce?: number
}

/**
 * What operators share whose state of each key becomes due by event time: the watermark, which is state, and the queue
 * of what it has made due, worked off in the order of time. The watermark is handed on behind all that waited for it.
 */
export abstract class EventTimeOperator extends NotedState {
  readonly id: string
  readonly operator: number
  /** What its state is made of. */
  readonly definition: StateDefinition
  /** The key of what is being emitted: for keyed operators and sinks behind `output`. */
  readonly outputKey: Keyed = keyed()
  protected readonly output: Input
  /** The watermark. */
  protected current = NO_WATERMARK
  /** It as state, and for keys that it had come further for, in the partitions that this one was made of. */
  protected readonly times: KeyTimes
  private readonly atOnce: number
  private readonly timed: readonly KeyedState[]
  protected readonly state: OperatorState
  private readonly written = new ByteWriter(64)

  /** `what` the step does, as a person reads it: state of a step that did something else is refused. */
  constructor({ id, output, atOnce }: EventTimeOptions, what: string, parts: readonly KeyedPart[]) {
    super()
    this.id = id
    this.output = output
    this.atOnce = atOnce ?? Number.POSITIVE_INFINITY
    this.times = new KeyTimes(id)
    const cells = parts.map(part => part.cells)
    this.timed = cells.filter((_, i) => parts[i]!.schema.ttl)
    this.definition = stepDefinition(
      id,
      what,
      parts.map(part => part.schema)
    )
    this.state = new OperatorState(this.definition, [this.times.state, ...cells])
    this.operator = this.state.operator
  }

  /** Does the first thing that is due among the timed cells. */
  protected abstract perform(): void

  /** The watermark of the operator as a whole, however many inputs it has. */
  protected advance(watermark: number): void {
    if (watermark > this.current) this.current = watermark
    this.proceed(this.atOnce)
  }

  /** Whether something that is due waits for `proceed`. */
  get pending(): boolean {
    return this.timed.some(cells => cells.isDue(this.current))
  }

  /**
   * Does up to `limit` things that are due, in the order of their time, and behind the last one hands on the watermark
   * that they waited for. Returns how many it did. Called by the engine between batches while something is pending.
   */
  proceed(limit: number): number {
    let done = 0
    for (; done < limit && this.pending; done++) this.perform()
    if (!this.pending) this.handOn()
    return done
  }

  /** Nothing that is due waits any more: the watermark goes on. */
  protected handOn(): void {
    this.output.watermark(this.current)
  }

  /** Hands on a record of a key. */
  protected emit(key: Key, record: object, timestamp: number): void {
    this.under(key)
    this.output.next(record, timestamp)
  }

  /** What is handed on next is of this key. */
  protected under(key: Key): void {
    const { outputKey, written } = this
    written.clear()
    outputKey.kind = writeKey(written, key)
    outputKey.bytes = written.bytes
    outputKey.start = 0
    outputKey.end = written.length
  }

  /** A time in ms, or it throws: NaN would be neither late nor due, ever. */
  protected time(timestamp: number): number {
    if (Number.isFinite(timestamp)) return timestamp
    throw new RangeError(`"${this.id}": an event's timestamp is not a time in ms (${timestamp})`)
  }

  /** How far event time has come: what is kept of it. */
  protected get reached(): number {
    return this.current
  }

  protected note(): void {
    this.times.note(this.reached)
  }

  protected recall(): void {
    this.current = this.times.recall()
  }
}

/** Counts what stands in no window: what came too late, which is diverted where there is somewhere to go, and what falls between. */
export class LateEvents {
  /** Late events so far, diverted or dropped, in this process. */
  count = 0
  /** Those of them that had nowhere to go. */
  dropped = 0
  /** Events that stand in the gaps of windows, as of those that slide by more than their size. */
  between = 0
  private readonly output: Input | undefined

  constructor(output: Input | undefined) {
    this.output = output
  }

  /** `size`: how many events it stands for. */
  take(record: object, timestamp: number, size = 1): void {
    this.count += size
    if (this.output === undefined) this.dropped += size
    else this.output.next(record, timestamp)
  }

  watermark(watermark: number): void {
    this.output?.watermark(watermark)
  }
}
