/** The engine's inside, which its face does not show: the simulator drives the lane itself. */
export type { Command, Event, Turn } from "../../engine/src/lane/events.ts"
export { Lane } from "../../engine/src/lane/lane.ts"
export { Pace } from "../../engine/src/lane/pace.ts"
export { ChangelogWriter, readHeader } from "../../engine/src/recovery/changelog.ts"
export { type Restored, restoreTask } from "../../engine/src/recovery/restore.ts"
export type { ChainParts } from "../../engine/src/task/chain.ts"
export { makeTask } from "../../engine/src/task/source-task.ts"
export type { Task } from "../../engine/src/task/task.ts"
