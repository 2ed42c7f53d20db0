import type { Random } from "./random.ts"

/** How likely what goes wrong is, for this seed. */
export interface Faults {
  readonly fail: number
  readonly poison: number
  readonly kill: number
  readonly rebalance: number
  /** Of checkpoints: full, slow, and files that rot. */
  readonly disk: number
  /** Of ClickHouse. */
  readonly server: number
}
export const NO_FAULTS: Faults = { fail: 0, poison: 0, kill: 0, rebalance: 0, disk: 0, server: 0 }

/** Of a seed: in some of them nothing goes wrong. */
export const drawFaults = (random: Random): Faults => {
  const calm = random.chance(0.15)
  const level = (most: number): number => (calm ? 0 : random.next() * most)
  return {
    fail: level(0.15),
    poison: level(0.2),
    kill: level(0.15),
    rebalance: level(0.2),
    disk: level(0.3),
    server: level(0.4)
  }
}

/** What can go wrong, counted when it does: a run in which nothing did proves nothing. */
export const FAULTS = [
  "kill",
  "stop",
  "rebalance",
  "offsets forgotten",
  "member expired",
  "process frozen",
  "transaction timed out",
  "clock jumped",
  "lane stands still",
  "clock set",
  "answer lost",
  "request lost",
  "request late",
  "request refused",
  "request duplicated",
  "move refused",
  "changelog read cut off",
  "disk full",
  "disk slow",
  "put cut off",
  "spill disk full",
  "damaged checkpoint read",
  "corrupt record",
  "followed state taken over",
  "server down",
  "server slow",
  "server request lost",
  "server request late",
  "server answer lost",
  "insert partly done",
  "partitions lost",
  "let go while joining",
  "revoked in a restore",
  "zombie refused",
  "savepoint killed",
  // No faults, but what has to happen under them.
  "transactions repeated",
  "committed beside a restore",
  "dead lane's transaction ended",
  "partition held back",
  "partition held back for another process",
  "savepoint restored",
  "savepoint restored elsewhere",
  "savepoint beside the job"
] as const
export type Fault = (typeof FAULTS)[number]
