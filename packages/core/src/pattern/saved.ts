import type { ByteWriter } from "../bytes.ts"
import type { StoredCodec, ValueCodec } from "../codec.ts"
import { readKey, STRING_KEY, writeKey } from "../key.ts"
import { ValueReader, writeNumber } from "../state/number.ts"
import { Partial, Seen } from "./matches.ts"
import { KeyMatches, UnderWay } from "./underWay.ts"

/** Gives the events of a partition their numbers. */
export interface Numbers {
  next: number
}

/**
 * What is under way in a key, with its events; what was taken, and events, by their places, so that what several have in common
 * stands there once. Each list begins with its length.
 *   turn      of the event of the key that was looked at last
 *   events    time · turns before that · length · record, in the order in which they were processed
 *   taken     place of the one before + 1 · step · place of the event
 *   patterns  id · version · how many are held back · partial matches: state · place of what was taken last
 */
export const savedCodec = (record: StoredCodec, numbers: Numbers): ValueCodec<KeyMatches> => {
  const writing = new Writing(record)
  const reading = new Reading(record, numbers)
  return {
    write: (matches, out) => writing.write(matches, out),
    read: (bytes, start, end) => reading.read(bytes.subarray(start, end))
  }
}

class Writing {
  private readonly record: StoredCodec
  /** Which of all that were written this one is: links and events that bear its number have their places. */
  private number = 0
  /** Scratch, and how much of it is in use. */
  private readonly taken: Partial[] = []
  private takenCount = 0
  private readonly events: Seen[] = []
  private eventCount = 0
  private readonly chain: Partial[] = []
  /** By the place of a pattern its lone one. */
  private readonly lone: Partial[] = []

  constructor(record: StoredCodec) {
    this.record = record
  }

  write({ first, turn }: KeyMatches, out: ByteWriter): void {
    out.varint(turn)
    if (first?.isLone === true && first.next === undefined) return this.writeLone(first, turn, out)
    this.number++
    this.takenCount = 0
    this.eventCount = 0
    let patterns = 0
    for (let one = first; one !== undefined; one = one.next) {
      if (one.isLone) this.placeOne((this.lone[patterns] = one.alone()))
      else this.place(one.partials)
      this.place(one.held)
      patterns++
    }
    this.writeEvents(turn, out)
    out.varint(this.takenCount)
    for (let i = 0; i < this.takenCount; i++) {
      const { before, step, event } = this.taken[i]!
      out.varint(before === undefined ? 0 : before.place + 1)
      out.varint(step)
      out.varint(event.place)
    }
    out.varint(patterns)
    patterns = 0
    for (let one = first; one !== undefined; one = one.next) this.writePattern(one, this.lone[patterns++], out)
  }

  /** The same where a key has one partial match, which has taken one event. */
  private writeLone(one: UnderWay, turn: number, out: ByteWriter): void {
    out.varint(1)
    this.writeEvent(one.timestamp, turn - one.turn, one.record!, out)
    out.varint(1)
    out.varint(0)
    out.varint(one.step)
    out.varint(0)
    out.varint(1)
    writeName(one, out)
    out.varint(0)
    out.varint(1)
    out.varint(one.state)
    out.varint(0)
  }

  /** Gives what was taken its places, each behind the one before it. */
  private place(partials: readonly Partial[]): void {
    const { chain, number } = this
    for (let i = 0; i < partials.length; i++) {
      let size = 0
      for (let one: Partial | undefined = partials[i]!; one !== undefined; one = one.before) {
        if (one.writing === number) break
        chain[size++] = one
      }
      while (size > 0) this.placeOne(chain[--size]!)
    }
  }

  private placeOne(one: Partial): void {
    const { event } = one
    one.writing = this.number
    one.place = this.takenCount
    this.taken[this.takenCount++] = one
    if (event.writing === this.number) return
    event.writing = this.number
    this.events[this.eventCount++] = event
  }

  private writeEvents(last: number, out: ByteWriter): void {
    const { events, eventCount } = this
    if (!isInOrder(events, eventCount)) {
      events.length = eventCount
      events.sort((a, b) => a.number - b.number)
    }
    out.varint(this.giveEventsPlaces())
    let written = -1
    for (let i = 0; i < eventCount; i++) {
      const { place, timestamp, record, turn } = events[i]!
      if (place === written) continue
      written = place
      this.writeEvent(timestamp, last - turn, record, out)
    }
  }

  /** One event may be there as several objects: its number tells. Returns how many there are. */
  private giveEventsPlaces(): number {
    const { events, eventCount } = this
    let place = -1
    for (let i = 0; i < eventCount; i++) {
      if (i === 0 || events[i]!.number !== events[i - 1]!.number) place++
      events[i]!.place = place
    }
    return place + 1
  }

  private writeEvent(timestamp: number, turnsSince: number, record: object, out: ByteWriter): void {
    writeNumber(out, timestamp)
    out.varint(turnsSince)
    const start = out.open()
    this.record.write(record, out)
    out.close(start)
  }

  /** `lone`: the lone one as it was given its place, where there is one. */
  private writePattern(one: UnderWay, lone: Partial | undefined, out: ByteWriter): void {
    const { partials, held } = one
    writeName(one, out)
    out.varint(held.length)
    out.varint(one.size)
    if (one.isLone) writePartial(lone!, out)
    writePartials(partials, out)
    writePartials(held, out)
  }
}

const writeName = ({ id, version }: UnderWay, out: ByteWriter): void => {
  const start = out.open()
  writeKey(out, id)
  out.close(start)
  out.varint(version)
}

const writePartials = (partials: readonly Partial[], out: ByteWriter): void => {
  for (let i = 0; i < partials.length; i++) writePartial(partials[i]!, out)
}

const writePartial = ({ state, place }: Partial, out: ByteWriter): void => {
  out.varint(state)
  out.varint(place)
}

const isInOrder = (events: readonly Seen[], count: number): boolean => {
  for (let i = 1; i < count; i++) if (events[i - 1]!.number > events[i]!.number) return false
  return true
}

class Reading {
  private readonly record: StoredCodec
  private readonly numbers: Numbers
  private readonly reader = new ValueReader()

  constructor(record: StoredCodec, numbers: Numbers) {
    this.record = record
    this.numbers = numbers
  }

  read(bytes: Uint8Array): KeyMatches {
    const { reader } = this
    reader.reset(bytes)
    const turn = reader.varint()
    const events = this.list(() => this.event(bytes, turn))
    const taken: Partial[] = []
    for (let left = reader.varint(); left > 0; left--) {
      const before = taken[reader.varint() - 1]
      const step = reader.varint()
      const event = events[reader.varint()]!
      taken.push(new Partial(0, step, event, before, before?.first ?? event))
    }
    const all = new KeyMatches()
    all.turn = turn
    let last: UnderWay | undefined
    for (let left = reader.varint(); left > 0; left--) {
      const own = this.pattern(bytes, taken)
      if (last === undefined) all.first = own
      else last.next = own
      last = own
    }
    reader.end()
    return all
  }

  private list<A>(read: () => A): A[] {
    const all: A[] = []
    for (let left = this.reader.varint(); left > 0; left--) all.push(read())
    return all
  }

  private event(bytes: Uint8Array, last: number): Seen {
    const timestamp = this.reader.number()
    const turn = last - this.reader.varint()
    const length = this.reader.varint()
    const start = this.reader.skip(length)
    return new Seen(this.numbers.next++, timestamp, this.record.read(bytes, start, start + length) as object, turn)
  }

  private pattern(bytes: Uint8Array, taken: readonly Partial[]): UnderWay {
    const { reader } = this
    const length = reader.varint()
    const start = reader.skip(length)
    const id = readKey(bytes, start, start + length, STRING_KEY) as string
    const own = new UnderWay(id, reader.varint())
    const held = reader.varint()
    const partials = this.list(() => {
      const state = reader.varint()
      const partial = taken[reader.varint()]!
      partial.state = state
      return partial
    })
    own.partials = partials.slice(0, partials.length - held)
    own.held = partials.slice(partials.length - held)
    own.settleAlone()
    return own
  }
}
