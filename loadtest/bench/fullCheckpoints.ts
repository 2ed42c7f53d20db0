import type { WorkerTask } from "@headrace/engine"
import { writeRound } from "../../workers/checkpoint.ts"

/** A round of checkpoints of all of the state, however little of it has changed. */
export default (task: WorkerTask): Promise<void> => writeRound(task, { incrementalBytes: Number.POSITIVE_INFINITY })
