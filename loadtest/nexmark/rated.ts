import { messageOf } from "@headrace/core"
import { median } from "../bench/figures.ts"
import { count } from "../src/text.ts"
import type { Rate } from "./memory/run.ts"

/** What was measured, and what else the table shows of it. */
export interface Rated extends Omit<Rate, "results"> {
  /** Its start is in it: the events were too few to leave it out. */
  readonly withStart?: boolean
  readonly more: Readonly<Record<string, string>>
}

export interface Rating {
  readonly queries: readonly string[]
  readonly rounds: number
  /** What a query is made of, in a few words. */
  readonly operators: (query: string) => string
  readonly measure: (query: string, round: number) => Promise<Rated>
  readonly print: Pick<Console, "log" | "error">
}

/** Measures queries one after the other, says the rate of each as it comes, and answers with a row for each. */
export const rated = async ({ queries, rounds, operators, measure, print }: Rating) => {
  const rows: Readonly<Record<string, string>>[] = []
  let failed = false
  for (const query of queries) {
    try {
      const all: Rated[] = []
      for (let round = 0; round < rounds; round++) all.push(await measure(query, round))
      const row = rowOf(query, operators(query), all)
      const start = all.some(({ withStart }) => withStart) ? ", start included: too few events to leave it out" : ""
      print.log(`${query}: ${row["events/s"]} events/s${start}`)
      rows.push(row)
    } catch (error) {
      // The figures of the others are not lost.
      print.error(`${query} failed: ${messageOf(error)}`)
      failed = true
    }
  }
  return { rows, failed }
}

const rowOf = (query: string, operators: string, rounds: readonly Rated[]) => {
  const rate = median(rounds.map(({ events, seconds }) => events / seconds))
  const cpu = median(rounds.map(({ events, cpuSeconds }) => (cpuSeconds * 1e6) / events))
  return {
    query,
    operators: operators || "none",
    events: count(rounds.at(-1)!.events),
    "events/s": count(rate),
    "ns/event": count(1e9 / rate),
    "CPU s/M": cpu.toFixed(2),
    ...rounds.at(-1)!.more
  }
}
