import { Random } from "../src/generator/random.ts"
import type { Fault } from "./faults/fault.ts"
import { joinAndLeave } from "./faults/group.ts"
import { killed, namedKills, takenOver } from "./faults/kill.ts"
import { lateEndTxn, lateOffsets } from "./faults/late.ts"
import { clockStepped, diskFull } from "./faults/machine.ts"
import { networkFaults } from "./faults/network.ts"
import { replaced } from "./faults/replaced.ts"
import {
  brokerRestart,
  clickhouseDown,
  clickhouseSlow,
  oneOfThreeKilled,
  secondOfThreeKilled
} from "./faults/servers.ts"
import { zombie } from "./faults/zombie.ts"

/** A fault, and what its own choices are drawn from. */
export interface Planned {
  readonly fault: Fault
  readonly seed: number
}

const oneOfAKind: readonly Fault[] = [clickhouseDown, clickhouseSlow, diskFull, clockStepped, joinAndLeave]
const everyFault: readonly Fault[] = [
  ...namedKills,
  ...networkFaults,
  ...oneOfAKind,
  ...[killed, takenOver, replaced, zombie, lateEndTxn, lateOffsets, brokerRestart]
]
/** On three brokers, which stand behind no proxy. */
const faultsOfThree: readonly Fault[] = [oneOfThreeKilled, secondOfThreeKilled, killed, takenOver, zombie]

/** Faults without an end, the same for the same seed. Rounds of about two minutes; each has some of every group. */
export function* plan(seed: number): Generator<Planned, never> {
  const random = new Random(seed)
  const named = new Deck(namedKills, random)
  const network = new Deck(networkFaults, random)
  const others = new Deck(oneOfAKind, random)
  for (;;) {
    const round = [
      ...named.deal(4),
      ...network.deal(2),
      ...others.deal(1),
      killed,
      killed,
      takenOver,
      zombie,
      zombie,
      lateEndTxn,
      lateEndTxn,
      lateEndTxn,
      lateOffsets,
      brokerRestart
    ]
    for (const fault of shuffled(round, random)) yield { fault, seed: random.bits() }
  }
}

/** The same for three brokers. */
export function* planOfThree(seed: number): Generator<Planned, never> {
  const random = new Random(seed)
  for (;;) {
    const round = [oneOfThreeKilled, oneOfThreeKilled, secondOfThreeKilled, killed, zombie]
    for (const fault of shuffled(round, random)) yield { fault, seed: random.bits() }
  }
}

/** One of each of these, for a run that has to be short. */
export function* planOf(faults: readonly Fault[], seed: number): Generator<Planned> {
  const random = new Random(seed)
  for (const fault of shuffled(faults, random)) yield { fault, seed: random.bits() }
}

/** Again and again those whose name contains this: for a figure of its own. Throws where none does. */
export function planOfOne(part: string, brokers: 1 | 3, seed: number): Generator<Planned> {
  const all = brokers === 1 ? everyFault : faultsOfThree
  const chosen = all.filter(({ name }) => name.includes(part))
  if (chosen.length === 0)
    throw new Error(
      `--only ${part}: no fault on ${brokers === 1 ? "one broker" : "three brokers"} is called so; there are ${all.map(({ name }) => name).join("; ")}`
    )
  return again(chosen, seed)
}

function* again(faults: readonly Fault[], seed: number): Generator<Planned> {
  const random = new Random(seed)
  for (;;) for (const fault of shuffled(faults, random)) yield { fault, seed: random.bits() }
}

/** Dealt until it is empty, then shuffled again: nothing is forgotten for long. */
class Deck {
  private cards: Fault[] = []

  constructor(faults: readonly Fault[], random: Random) {
    this.faults = faults
    this.random = random
  }
  private readonly faults: readonly Fault[]
  private readonly random: Random

  deal(count: number): Fault[] {
    return Array.from({ length: count }, () => {
      if (this.cards.length === 0) this.cards = shuffled(this.faults, this.random)
      return this.cards.pop()!
    })
  }
}

const shuffled = (faults: readonly Fault[], random: Random): Fault[] => {
  const cards = [...faults]
  for (let i = cards.length - 1; i > 0; i--) {
    const j = random.below(i + 1)
    ;[cards[i], cards[j]] = [cards[j]!, cards[i]!]
  }
  return cards
}
