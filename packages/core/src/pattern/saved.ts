import { ByteWriter } from "../bytes.ts"
import type { StoredCodec, ValueCodec } from "../codec.ts"
import { readKey, STRING_KEY, writeKey } from "../key.ts"
import { ValueReader, writeNumber } from "../state/number.ts"
import { Link, Matches, Partial, Seen } from "./matches.ts"
import { KeyMatches, UnderWay } from "./underWay.ts"

/** Gives the events of a partition their numbers. */
export interface Numbers {
  next: number
}

/**
 * What is under way in a key, with its events; links and events by their places, so that what several have in common stands there
 * once. Each list begins with its length.
 *   events    time · length · record, in the order in which they were processed
 *   links     place of the one before + 1 · step · place of the event
 *   patterns  id · version · how many are held back · partial matches: state · place of the last link
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
  private links: Link[] = []
  private events: Seen[] = []
  private readonly chain: Link[] = []
  private readonly scratch = new ByteWriter(256)

  constructor(record: StoredCodec) {
    this.record = record
  }

  write({ all }: KeyMatches, out: ByteWriter): void {
    this.number++
    this.links = []
    this.events = []
    for (const { matches } of all) {
      this.place(matches.partials)
      this.place(matches.held)
    }
    this.writeEvents(out)
    out.varint(this.links.length)
    for (const { before, step, event } of this.links) {
      out.varint(before === undefined ? 0 : before.place + 1)
      out.varint(step)
      out.varint(event.place)
    }
    out.varint(all.length)
    for (const one of all) this.writePattern(one, out)
  }

  /** Gives links their places, each behind the one before it. */
  private place(partials: readonly Partial[]): void {
    const { chain, number } = this
    for (let i = 0; i < partials.length; i++) {
      let size = 0
      for (let link: Link | undefined = partials[i]!.last; link !== undefined; link = link.before) {
        if (link.writing === number) break
        chain[size++] = link
      }
      while (size > 0) this.placeLink(chain[--size]!)
    }
  }

  private placeLink(link: Link): void {
    const { event } = link
    link.writing = this.number
    link.place = this.links.length
    this.links.push(link)
    if (event.writing === this.number) return
    event.writing = this.number
    this.events.push(event)
  }

  private writeEvents(out: ByteWriter): void {
    const { events, scratch } = this
    if (!isInOrder(events)) events.sort((a, b) => a.number - b.number)
    out.varint(events.length)
    for (let i = 0; i < events.length; i++) {
      const event = events[i]!
      event.place = i
      writeNumber(out, event.timestamp)
      scratch.clear()
      this.record.write(event.record, scratch)
      out.varint(scratch.length)
      out.copy(scratch.bytes, 0, scratch.length)
    }
  }

  private writePattern({ id, version, matches: { partials, held } }: UnderWay, out: ByteWriter): void {
    const { scratch } = this
    scratch.clear()
    writeKey(scratch, id)
    out.varint(scratch.length)
    out.copy(scratch.bytes, 0, scratch.length)
    out.varint(version)
    out.varint(held.length)
    out.varint(partials.length + held.length)
    for (const all of [partials, held])
      for (const { state, last } of all) {
        out.varint(state)
        out.varint(last.place)
      }
  }
}

const isInOrder = (events: readonly Seen[]): boolean => {
  for (let i = 1; i < events.length; i++) if (events[i - 1]!.number > events[i]!.number) return false
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
    const events = this.list(() => this.event(bytes))
    const links: Link[] = []
    const firsts: Seen[] = []
    for (let left = reader.varint(); left > 0; left--) {
      const before = reader.varint() - 1
      const link = new Link(links[before], reader.varint(), events[reader.varint()]!)
      links.push(link)
      firsts.push(before < 0 ? link.event : firsts[before]!)
    }
    const all = this.list(() => this.pattern(bytes, links, firsts))
    reader.end()
    return new KeyMatches(all)
  }

  private list<A>(read: () => A): A[] {
    const all: A[] = []
    for (let left = this.reader.varint(); left > 0; left--) all.push(read())
    return all
  }

  private event(bytes: Uint8Array): Seen {
    const timestamp = this.reader.number()
    const length = this.reader.varint()
    const start = this.reader.skip(length)
    return new Seen(this.numbers.next++, timestamp, this.record.read(bytes, start, start + length) as object)
  }

  private pattern(bytes: Uint8Array, links: readonly Link[], firsts: readonly Seen[]): UnderWay {
    const { reader } = this
    const length = reader.varint()
    const start = reader.skip(length)
    const id = readKey(bytes, start, start + length, STRING_KEY) as string
    const version = reader.varint()
    const held = reader.varint()
    const partials = this.list(() => {
      const state = reader.varint()
      const last = reader.varint()
      return new Partial(state, links[last]!, firsts[last]!)
    })
    const matches = new Matches()
    matches.partials = partials.slice(0, partials.length - held)
    matches.held = partials.slice(partials.length - held)
    return new UnderWay(id, version, matches)
  }
}
