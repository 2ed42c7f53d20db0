import { Random } from "../../src/generator/random.ts"
import type { Auction, Bid, Person } from "../schemas.ts"
import { Channels } from "./channels.ts"
import type { NexmarkOptions } from "./options.ts"
import { CITIES, FIRST_NAMES, Filler, LAST_NAMES, pick, STATES, word } from "./words.ts"

export type NexmarkEvent =
  | { readonly kind: "person"; readonly record: Person }
  | { readonly kind: "auction"; readonly record: Auction }
  | { readonly kind: "bid"; readonly record: Bid }

const FIRST_PERSON = 1000
const FIRST_AUCTION = 1000
const FIRST_CATEGORY = 10
const CATEGORIES = 5
/** One person or auction in so many is hot, the first of each lot; of bidders the second, so that no seller is one. */
const LOT = 100
/** Ids that are used may be so far ahead: as if what makes them had been overtaken. */
const LEAD = 10
/** A prime: goes round in any group that is no multiple of it. */
const STRIDE = 953
const NUMBER_BYTES = 8

/**
 * Persons, auctions and bids as the public generators make them: the same proportions, hot ids and sizes. The same options
 * make the same events.
 */
export class NexmarkGenerator {
  private readonly options: NexmarkOptions
  private readonly random: Random
  private readonly filler: Filler
  private readonly channels: Channels
  /** Persons, auctions and bids of a round. */
  private readonly round: number
  private made = 0

  constructor(options: NexmarkOptions) {
    this.options = options
    this.random = new Random(options.seed)
    this.filler = new Filler(this.random)
    this.channels = new Channels(this.random)
    this.round = options.persons + options.auctions + options.bids
  }

  /** The next event. */
  next(): NexmarkEvent {
    const { persons, auctions } = this.options
    const number = this.mixed(this.made++)
    const place = number % this.round
    if (place < persons) return { kind: "person", record: this.person(number) }
    if (place < persons + auctions) return { kind: "auction", record: this.auction(number) }
    return { kind: "bid", record: this.bid(number) }
  }

  /** The events to come, as many as that. */
  *take(count: number): Generator<NexmarkEvent> {
    for (let i = 0; i < count; i++) yield this.next()
  }

  private person(number: number): Person {
    const { random } = this
    const name = `${pick(random, FIRST_NAMES)} ${pick(random, LAST_NAMES)}`
    const emailAddress = `${word(random, 7)}@${word(random, 5)}.com`
    const creditCard = [0, 1, 2, 3].map(() => String(random.below(10_000)).padStart(4, "0")).join(" ")
    const city = pick(random, CITIES)
    const state = pick(random, STATES)
    const texts = name.length + emailAddress.length + creditCard.length + city.length + state.length
    return {
      id: FIRST_PERSON + this.lastPerson(number),
      name,
      emailAddress,
      creditCard,
      city,
      state,
      dateTime: this.timeOf(number),
      extra: this.filler.upTo(this.options.personBytes, texts + NUMBER_BYTES)
    }
  }

  private auction(number: number): Auction {
    const { random, options } = this
    const dateTime = this.timeOf(number)
    const itemName = word(random, 20)
    const description = word(random, 100)
    const initialBid = this.price()
    return {
      id: FIRST_AUCTION + this.lastAuction(number),
      itemName,
      description,
      initialBid,
      reserve: initialBid + this.price(),
      dateTime,
      expires: dateTime + this.duration(number),
      seller: FIRST_PERSON + (this.isHot(options.hotSellers) ? lotOf(this.lastPerson(number)) : this.somebody(number)),
      category: FIRST_CATEGORY + random.below(CATEGORIES),
      extra: this.filler.upTo(options.auctionBytes, itemName.length + description.length + 6 * NUMBER_BYTES)
    }
  }

  private bid(number: number): Bid {
    const { options } = this
    const lastAuction = this.lastAuction(number)
    const auction = this.isHot(options.hotAuctions) ? lotOf(lastAuction) : this.something(lastAuction)
    const bidder = this.isHot(options.hotBidders) ? lotOf(this.lastPerson(number)) + 1 : this.somebody(number)
    return {
      auction: FIRST_AUCTION + auction,
      bidder: FIRST_PERSON + bidder,
      price: this.price(),
      ...this.channels.next(),
      dateTime: this.timeOf(number),
      extra: this.filler.upTo(options.bidBytes, 4 * NUMBER_BYTES)
    }
  }

  /** The number that stands at a place of the output: another one of its group. */
  private mixed(place: number): number {
    const group = this.options.outOfOrderGroup
    return place - (place % group) + ((place * STRIDE) % group)
  }

  private timeOf(number: number): number {
    return this.options.startAt + Math.floor((number * 1000) / this.options.eventsPerSecond)
  }

  /** The latest person as of an event, counted from 0. */
  private lastPerson(number: number): number {
    const { persons } = this.options
    return Math.floor(number / this.round) * persons + Math.min(number % this.round, persons - 1)
  }

  /** The latest auction as of an event, counted from 0. */
  private lastAuction(number: number): number {
    const { persons, auctions } = this.options
    const place = Math.min((number % this.round) - persons, auctions - 1)
    return Math.floor(number / this.round) * auctions + place
  }

  private isHot(ratio: number): boolean {
    return this.random.below(ratio) > 0
  }

  /** A person who is active, or is about to come. */
  private somebody(number: number): number {
    const people = this.lastPerson(number) + 1
    const active = Math.min(people, this.options.activePeople)
    return people - active + this.random.below(active + LEAD)
  }

  /** An auction that is in flight, or is about to begin. */
  private something(last: number): number {
    const first = Math.max(last - this.options.inFlightAuctions, 0)
    return first + this.random.below(last - first + 1 + LEAD)
  }

  /** From 1 to a million, each power of ten as often as the other; in cents. */
  private price(): number {
    return Math.round(10 ** (this.random.unit() * 6) * 100)
  }

  /** On average as long as it takes to begin as many auctions as are in flight. ms */
  private duration(number: number): number {
    const { inFlightAuctions, auctions } = this.options
    const events = Math.floor((inFlightAuctions * this.round) / auctions)
    const mean = this.timeOf(number + events) - this.timeOf(number)
    return 1 + this.random.below(Math.max(mean * 2, 1))
  }
}

const lotOf = (id: number): number => id - (id % LOT)
