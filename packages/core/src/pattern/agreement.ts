import type { ValueCodec } from "../codec.ts"
import { NO_WATERMARK } from "../operator.ts"
import { type KeyedPart, keyedPart } from "../operators/eventTime.ts"
import { Cells } from "../state/cells.ts"

/** What is said about a pattern from some moment of event time on. */
export interface PatternChange {
  readonly id: string
  /** Counts what is said about this pattern. */
  readonly turn: number
  /** Of what the pattern looks for: partial matches go on where it stays the same. */
  readonly version: number
  readonly status: "active" | "paused" | "removed"
  /** The pattern as text; empty where it is removed. */
  readonly spec: string
  /** Who said it, for an answer; and when, in ms of processing time. */
  readonly request: string
  readonly said: number
}

/** A partition says how far its event time had come when it heard of a change, and that it goes no further before all have said so. */
export interface Heard {
  readonly change: string
  readonly partition: number
  readonly watermark: number
}

/** What has been heard of a change. `change` is not known where others were quicker to say than it was to come. */
interface Proposed {
  readonly change: PatternChange | undefined
  /** By partition; as text, since a time may be infinite. */
  readonly heard: Readonly<Record<number, string>>
  /** Once all have said so. */
  readonly from?: string
}

/** What holds, and why it cannot be looked for all the same, as far as that has been said. */
interface InForce extends PatternChange {
  readonly refused?: string | undefined
}

/** A change on which all agree: it takes effect behind the events at or before `from`. */
export interface Decided {
  readonly name: string
  readonly change: PatternChange
  readonly from: number
}

const ALL = ""
const nameOf = ({ id, turn }: PatternChange): string => `${id}/${turn}`

/**
 * From which event time on a change holds in all partitions of a stage. Each says how far it had come when the change came to it,
 * and waits there until all have said so: the greatest of these times is one that none of them has passed. What they
 * say stands in their logs, so each comes to the same, also when it reads them again. State that belongs to no key.
 */
export class Agreement {
  private readonly proposed: Cells<Proposed>
  /** What holds, by the ids of the patterns. */
  private readonly inForce: Cells<InForce>
  private readonly partition: number
  private readonly partitions: number
  /** In the order in which they take effect. */
  private decided: readonly Decided[] = []
  /** How far this partition may go while others have not said how far they had come. */
  private held = Number.POSITIVE_INFINITY
  private isStale = false
  /** How far event time has come in, which may be further than it may go. */
  come = NO_WATERMARK

  constructor(id: string, handle: number, place: { readonly partition: number; readonly partitions: number }) {
    this.proposed = new Cells<Proposed>({ id, handle, codec: json(), timed: false })
    this.inForce = new Cells<InForce>({ id, handle: handle + 1, codec: json(), timed: false })
    this.partition = place.partition
    this.partitions = place.partitions
  }

  /** The state that it has: under two handles. */
  get parts(): readonly KeyedPart[] {
    return [keyedPart("proposed", "map", false, this.proposed), keyedPart("in force", "map", false, this.inForce)].map(
      ({ schema, cells }) => ({ schema: { ...schema, shared: true }, cells })
    )
  }

  /** A change has come. What it answers has to be told to all partitions, this one as well. */
  propose(change: PatternChange): Heard {
    const name = nameOf(change)
    const watermark = this.come
    const heard = { ...this.find(name)?.heard, [this.partition]: String(watermark) }
    this.put(name, { change, heard })
    return { change: name, partition: this.partition, watermark }
  }

  hear({ change: name, partition, watermark }: Heard): void {
    const before = this.find(name)
    // What was decided is gone: this one's own words come back to it as well.
    if (before === undefined && partition === this.partition) return
    this.put(name, { change: before?.change, heard: { ...before?.heard, [partition]: String(watermark) } })
  }

  /** How far event time may go: there it waits for what others say, or for the changes that take effect. */
  get limit(): number {
    this.refresh()
    return Math.min(this.held, this.decided[0]?.from ?? Number.POSITIVE_INFINITY)
  }

  /** Whether changes take effect at this time. */
  isDue(time: number): boolean {
    this.refresh()
    return this.decided.length > 0 && this.decided[0]!.from <= Math.min(time, this.held)
  }

  /** The changes that take effect at this time, in their order: they are in force from now on. */
  take(time: number): readonly Decided[] {
    this.refresh()
    const until = Math.min(time, this.held)
    const due = this.decided.filter(({ from }) => from <= until)
    for (const { name, change } of due) {
      this.proposed.remove(this.proposed.find(ALL, name)!)
      if (change.status !== "removed") this.inForce.put(ALL, change.id, change, Number.POSITIVE_INFINITY)
      else this.forget(change.id)
    }
    this.isStale = true
    return due
  }

  /** What holds now, by the ids of the patterns. */
  all(): readonly PatternChange[] {
    return this.inForce.all(ALL).map(({ value }) => value)
  }

  /** Keeps why what holds cannot be looked for, or that it can. Answers whether that is news. */
  note(id: string, refused: string | undefined): boolean {
    const cell = this.inForce.find(ALL, id)
    if (cell === undefined || cell.value.refused === refused) return false
    this.inForce.put(ALL, id, { ...cell.value, refused }, Number.POSITIVE_INFINITY)
    return true
  }

  /** State has come back. */
  recall(): void {
    this.isStale = true
  }

  private forget(id: string): void {
    const cell = this.inForce.find(ALL, id)
    if (cell !== undefined) this.inForce.remove(cell)
  }

  private find(name: string): Proposed | undefined {
    return this.proposed.find(ALL, name)?.value
  }

  private put(name: string, proposed: Proposed): void {
    const times = Object.values(proposed.heard).map(Number)
    const isDecided = proposed.change !== undefined && times.length === this.partitions
    const value = isDecided ? { ...proposed, from: String(Math.max(...times)) } : proposed
    this.proposed.put(ALL, name, value, Number.POSITIVE_INFINITY)
    this.isStale = true
  }

  private refresh(): void {
    if (!this.isStale) return
    this.isStale = false
    const decided: Decided[] = []
    this.held = Number.POSITIVE_INFINITY
    for (const { sub, value } of this.proposed.all(ALL)) {
      const { change, heard, from } = value
      if (change === undefined) continue
      if (from === undefined) this.held = Math.min(this.held, Number(heard[this.partition]))
      else decided.push({ name: sub as string, change, from: Number(from) })
    }
    this.decided = decided.sort((a, b) => a.from - b.from || compare(a.change, b.change))
  }
}

const compare = (a: PatternChange, b: PatternChange): number => (a.id === b.id ? a.turn - b.turn : a.id < b.id ? -1 : 1)

const utf8 = new TextEncoder()
const text = new TextDecoder()

const json = <A>(): ValueCodec<A> => ({
  write: (value, out) => {
    const bytes = utf8.encode(JSON.stringify(value))
    out.copy(bytes, 0, bytes.length)
  },
  read: (bytes, start, end) => JSON.parse(text.decode(bytes.subarray(start, end)))
})
