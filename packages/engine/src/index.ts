export { nowMs } from "./clock.ts"
export * from "./job.ts"
export { type AlignedPartition, alignedPartitions } from "./lane/aligned.ts"
export { Elsewhere } from "./lane/elsewhere.ts"
export type { Halt } from "./lane/events.ts"
export { GroupClocks } from "./lane/group-clocks.ts"
export type { LaneHandle } from "./lane/interpreter.ts"
export { type LaneJob, runLaneJob } from "./lane/job.ts"
export { Whereabouts } from "./lane/whereabouts.ts"
export * from "./metrics.ts"
export * from "./names.ts"
export * from "./ports/blobs.ts"
export * from "./ports/clients.ts"
export * from "./ports/codecs.ts"
export * from "./ports/committed-log.ts"
export * from "./ports/log.ts"
export * from "./ports/spill.ts"
export { checkpointAll, type RoundOptions } from "./recovery/checkpointing.ts"
export { directoryBlobs } from "./recovery/directory.ts"
export { checkTopics } from "./recovery/topic-settings.ts"
export { prepareTopics } from "./recovery/topics.ts"
export { createSavepoint, type Rests } from "./savepoint/create.ts"
export { type Manifest, partitionsOf } from "./savepoint/manifest.ts"
export { type KeptState, leftBehind, type Match, stateOf } from "./savepoint/match.ts"
export { refuseHalfRestored, restoredFrom } from "./savepoint/progress.ts"
export { type RestoreReport, type RestoreSavepoint, restoreSavepoint } from "./savepoint/restore.ts"
export {
  deleteSavepoint,
  isSavepointId,
  type Listed,
  listSavepoints,
  readSavepoint,
  SavepointBlobs,
  SavepointError
} from "./savepoint/store.ts"
export { handedOverBy } from "./savepoint/tables.ts"
export { MANY, type StateRow } from "./state-sizes.ts"
export { buildChain, type Chain, type ChainParts } from "./task/chain.ts"
export type { Crossing } from "./task/crossing.ts"
export { IdleWatch } from "./task/idle-watch.ts"
export { OUTPUT_STRIDE, Outputs } from "./task/outputs.ts"
export { tellSides } from "./task/sides.ts"
export type { TaskMatch } from "./task/task.ts"
export * from "./worker.ts"
