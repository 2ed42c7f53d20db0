import { changelogName } from "@headrace/engine"
import type { Plan } from "headrace"
import { CheckpointReader, isHeader, makeTask, RECORD, readHeader, type Task } from "./engine.ts"
import { nameOf, type Partition } from "./log.ts"
import { chainParts } from "./parts.ts"
import { CONTROL } from "./pipelines.ts"
import type { Report } from "./rows.ts"
import { asRead, stretchesOf } from "./stretches.ts"
import { APP, type World } from "./world.ts"

/** Records without gaps, up to the committed offset; and the state that they make has the right watermark. */
export const checkChangelog = (world: World, plan: Plan, input: Partition, report: Report): void => {
  const log = world.log.at({ topic: changelogName(APP, input.topic), partition: input.partition })
  const owner = {}
  const task = makeTask(
    chainParts(plan, world, owner, () => {}),
    { topic: input.topic, partition: input.partition },
    () => {
      throw new Error("restoring writes nothing")
    }
  )
  const begin = world.life?.begins.get(nameOf(input))
  if (begin !== undefined) putBack(task, begin.state)
  let reached = begin?.offset ?? 0
  if (begin !== undefined) task.start({ offset: reached, committed: reached })
  let watermark = task.watermark()
  for (const { offset, record } of log.all()) {
    const header = readHeader(record.value, 0, record.value.length)
    if (header.from !== reached || header.to < header.from)
      report(`changelog of ${nameOf(input)} at ${offset}: [${header.from}, ${header.to}) follows ${reached}`)
    reached = header.to
    task.apply(record.value.subarray(header.changes))
    task.start({ offset: header.to, committed: header.to })
    if (task.watermark() < watermark)
      report(
        `changelog of ${nameOf(input)} at ${offset}: the watermark goes back from ${watermark} to ${task.watermark()}`
      )
    watermark = task.watermark()
  }
  if (world.inputs().includes(input) && input.topic !== CONTROL) checkEnd(world, input, watermark, report)
  const committed = world.log.committedOffset(nameOf(input)) ?? 0
  const events = input.all()
  // Who takes over what the others leave says again how far it has come, and that it is at rest; nobody need hear of it.
  const heard = events.filter(({ offset, record }) => offset < committed || !isRepeated(world, input, record.value))
  const end = Math.max(begin?.offset ?? 0, heard.length === 0 ? 0 : heard.at(-1)!.offset + 1)
  if (reached !== committed || committed !== end)
    report(`${nameOf(input)} ends at ${end}, committed ${committed}, its changelog at ${reached}`)
}

/** The state that a savepoint's restore has written. */
const putBack = (task: Task, checkpoint: Uint8Array): void => {
  for (const part of new CheckpointReader().push(checkpoint)) if (!isHeader(part)) task.restore(part)
}

const isRepeated = (world: World, input: Partition, value: Uint8Array): boolean =>
  !world.inputs().includes(input) && value[0] !== RECORD

/** The state of a source's partition has come to where its last event took it. */
const checkEnd = (world: World, input: Partition, watermark: number, report: Report): void => {
  const { events, floor } = stretchesOf(world).at(-1)!
  const { watermark: latest } = asRead(events(input), floor(input))
  const last = world.drained ? Number.POSITIVE_INFINITY : latest
  if (watermark !== last) report(`${nameOf(input)} ends with the watermark ${watermark}, not ${last}`)
}
