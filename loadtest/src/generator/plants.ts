import { partitionOf } from "@headrace/core"
import { type AlertName, alertsDue, type Deed } from "../scenarios/payments/due.ts"
import { SMALL_CENTS } from "../scenarios/payments/limits.ts"
import { type Cue, lengthOf, SCRIPTS, type Script } from "../scenarios/payments/scripts.ts"
import { plantedName } from "./accounts.ts"
import type { Random } from "./random.ts"

/** Between two scripts that a run begins, ms, and how many events have to pass at least. */
const EVERY_MS = 100
const EVERY_EVENTS = 20

/** How many accounts a script takes. */
const CAST = 2

/** What planting needs to know of its run. */
export interface PlantOptions {
  readonly run: number
  readonly thread: number
  readonly threads: number
  readonly partitions: number
  /** As in `EventOptions`. */
  readonly disorderMs: number
  readonly eventTimeShiftMs: number
  /** When the last event is meant to be sent, ms since the epoch. */
  readonly endAt: number
}

/** An event of a script, and when it is to be sent. */
export interface Planted {
  readonly dueAt: number
  readonly at: number
  readonly cue: Cue
  readonly account: PlantedAccount
}

/** An event that becomes a planted one. */
export type Playing = { -readonly [K in keyof Deed]: Deed[K] } & { account: string }

/** An account that only one script of one run uses. */
export interface PlantedAccount {
  readonly index: number
  readonly name: string
  readonly key: Uint8Array
  readonly partition: number
}

/** The number of accounts that the scripts of a run may take, whatever its threads do. */
export const plantedAccounts = (forMs: number, threads: number): number =>
  CAST * threads * (Math.ceil(forMs / (EVERY_MS * threads)) + 1)

/**
 * Begins a script every so often, in turns, and has its events sent among the others, each at a time of its own within the
 * disorder of the run: what happened first may come last. A script begins only if all of it can be sent before the end.
 */
export class Plants {
  /** Scripts that were begun. */
  begun = 0
  private readonly waiting: Planted[] = []
  private readonly sent = new Map<string, Deed[]>()
  private nextAt = Number.NEGATIVE_INFINITY
  private nextScript = 0
  private passed = 0

  constructor(options: PlantOptions, random: Random) {
    this.options = options
    this.random = random
  }
  private readonly options: PlantOptions
  private readonly random: Random

  /** The event that is to be sent in the place of one that is meant for `intended`, if any is due. Called for each. */
  next(intended: number): Planted | undefined {
    if (++this.passed > EVERY_EVENTS && intended >= this.nextAt) this.begin(intended)
    return (this.waiting[0]?.dueAt ?? Number.POSITIVE_INFINITY) <= intended ? this.waiting.shift() : undefined
  }

  /** Makes an event, whose id it has, what is planted. It is as good as sent: the audit counts on it. */
  play({ at, cue, account: { name } }: Planted, event: Playing): void {
    event.account = name
    event.at = at
    event.kind = cue.kind ?? "payment"
    event.channel = cue.channel ?? "app"
    event.cents = cue.cents ?? SMALL_CENTS
    event.ok = cue.ok ?? true
    if (cue.country !== undefined) event.country = cue.country
    this.take(event)
  }

  /** The alerts that are due for what was sent, of whole scripts or not. */
  alerts(): readonly AlertName[] {
    return [...this.sent.values()].flatMap(alertsDue)
  }

  private take({ id, account, at, kind, cents, country, channel, ok }: Playing): void {
    const deed = { id, at, kind, cents, country, channel, ok }
    const others = this.sent.get(account)
    if (others === undefined) this.sent.set(account, [deed])
    else others.push(deed)
  }

  private begin(intended: number): void {
    const { threads, endAt, disorderMs, eventTimeShiftMs } = this.options
    this.passed = 0
    this.nextAt = intended + EVERY_MS * threads
    const script = this.fitting(endAt - disorderMs - intended)
    if (script === undefined) return
    const cast = Array.from({ length: CAST }, (_, i) => this.accountOf(this.begun * CAST + i))
    this.begun++
    for (const cue of script.cues) {
      const dueAt = intended + cue.after + this.random.unit() * disorderMs
      const at = Math.floor(intended + eventTimeShiftMs) + cue.after
      this.waiting.push({ dueAt, at, cue, account: cast[cue.elsewhere ? 1 : 0]! })
    }
    this.waiting.sort((a, b) => a.dueAt - b.dueAt)
  }

  /** The next script that is over within so many ms. */
  private fitting(withinMs: number): Script | undefined {
    for (let tried = 0; tried < SCRIPTS.length; tried++) {
      const script = SCRIPTS[this.nextScript]!
      this.nextScript = (this.nextScript + 1) % SCRIPTS.length
      if (lengthOf(script) < withinMs) return script
    }
    return undefined
  }

  private accountOf(number: number): PlantedAccount {
    const { run, thread, threads, partitions } = this.options
    const { name, index } = plantedName(run, number * threads + thread)
    const key = new TextEncoder().encode(name)
    return { index, name, key, partition: partitionOf(key, partitions) }
  }
}
