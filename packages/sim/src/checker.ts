import type { Plan } from "headrace"
import { checkChangelog } from "./changelogs.ts"
import type { Event } from "./codec.ts"
import { difference } from "./difference.ts"
import type { Partition } from "./log.ts"
import { checkOverall } from "./overall.ts"
import { checkPairs } from "./pairs.ts"
import { checkPatterns } from "./patterns.ts"
import { counts, OUT_OF_ORDERNESS_MS, PARTS, type Shape, scoreOf, tagOf } from "./pipelines.ts"
import { grouped, type Report, rowsOf } from "./rows.ts"
import { checkSequences } from "./sequences.ts"
import { type Stretch, stagesOf } from "./stages.ts"
import { eventsOf, isCorrupt, savedOf, sourcesOf, stretchesOf } from "./stretches.ts"
import { checkWindows } from "./totals.ts"
import type { World } from "./world.ts"

type Row = Record<string, unknown>
const text = new TextDecoder()

/** Judges what was committed against a naive recomputation from the inputs; answers with what is wrong. */
export const check = (world: World, plan: Plan, shape: Shape): readonly string[] => {
  const wrong: string[] = []
  const report = (what: string): void => {
    if (wrong.length < 10) wrong.push(what)
  }
  const inputs = world.everyInput().map(partition => eventsOf(partition))
  checkDead(world, report)
  if (world.log.topics.has("tagged"))
    checkEach(world, inputs, "tagged", event => [{ ...event, tag: tagOf(event) }], report)
  if (world.log.topics.has("scored"))
    checkEach(world, inputs, "scored", event => [{ ...event, score: scoreOf(event.cents) }], report)
  if (world.log.topics.has("parts"))
    checkEach(world, inputs, "parts", event => PARTS.map(part => ({ ...event, part })), report)
  if (shape === "patterns") checkPatterns(world, plan, report)
  const crosses = shape === "crossing" ? counts : () => shape !== "overall"
  const stretches = stretchesOf(world)
  const crossed = (all: readonly Stretch[]) => stagesOf(plan, crosses, all, OUT_OF_ORDERNESS_MS, report)
  const stages = shape === "patterns" ? [] : crossed(stretches)
  if (world.saved !== undefined && shape !== "patterns") crossed([savedOf(world, world.saved)])
  if (shape === "joined" || shape === "aligned") checkPairs(world, stages, report)
  if (shape === "sequences") checkSequences(world, stages, report)
  if (shape === "overall") checkOverall(world, inputs.flat(), stages, report)
  if (world.log.topics.has("totals"))
    checkWindows(world, stages.length > 0 ? stages : sourcesOf(stretches), shape, report)
  world.warehouse?.check(report)
  for (const input of world.consumed()) checkChangelog(world, plan, input, report)
  return wrong
}

/** Each event is out, once at least: what is kept until a timer of it fires. */
export const allOut = (world: World): boolean => {
  const { log } = world
  const everyInput = world.everyInput()
  const tagged = log.topics.get("tagged")!.flatMap(partition => partition.all())
  return tagged.length >= everyInput.flatMap(one => eventsOf(one)).length
}

/** What cannot be decoded goes to its topic as it came, once, with each key's in its order. */
const checkDead = (world: World, report: Report): void => {
  const wordsOf = (partitions: readonly Partition[]) => {
    const records = partitions.flatMap(partition => partition.all()).filter(({ record }) => isCorrupt(record.value))
    return grouped(
      records.map(({ record }) => ({ key: text.decode(record.key), value: text.decode(record.value) })),
      one => one.key
    )
  }
  const found = wordsOf(world.log.topics.get("dead")!)
  const wanted = wordsOf(world.everyInput())
  for (const key of new Set([...found.keys(), ...wanted.keys()])) {
    const [got = [], want = []] = [found.get(key), wanted.get(key)].map(group => group?.map(one => one.value))
    if (JSON.stringify(got) !== JSON.stringify(want)) report(`dead letters of ${key}: ${difference(got, want)}`)
  }
}

/** What is expected of each input, once, with each account's in its order. */
const checkEach = (
  world: World,
  inputs: readonly (readonly Event[])[],
  topic: string,
  expected: (event: Event) => readonly object[],
  report: Report
): void => {
  const found = grouped(
    rowsOf<Event & Row>(world, topic, report, row => row.account),
    row => row.account
  )
  const wanted = grouped(inputs.flat(), event => event.account)
  for (const account of new Set([...found.keys(), ...wanted.keys()])) {
    const want = (wanted.get(account) ?? []).flatMap(event => expected(event).map(one => JSON.stringify(one)))
    const got = (found.get(account) ?? []).map(row => JSON.stringify(row))
    if (JSON.stringify(got) !== JSON.stringify(want)) report(`${topic} of ${account}: ${difference(got, want)}`)
  }
}
