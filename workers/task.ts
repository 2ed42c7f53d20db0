import type { WorkerKind, WorkerLoad, WorkerTask } from "@headrace/engine"

type Run = (task: WorkerTask) => Promise<void>

/** Loaded by the thread that needs it, and by no other. */
const files: Readonly<Record<WorkerKind, () => Promise<{ readonly default: Run }>>> = {
  lane: () => import("./lane.ts"),
  clickhouse: () => import("./clickhouse.ts"),
  checkpoint: () => import("./checkpoint.ts")
}

/** What every thread of the pool runs: the one file that it is given. */
export default async (task: WorkerTask | WorkerLoad): Promise<void> => {
  try {
    if ("load" in task) return await load(task)
    const { default: run } = await files[task.kind]()
    await run(task)
  } catch (error) {
    throw plain(error)
  }
}

/** All that a lane imports. */
const load = async ({ load: module }: WorkerLoad): Promise<void> => {
  await files.lane()
  const { importPipeline } = await import("./modules.ts")
  await importPipeline(module)
}

/** Only an Error's message and stack surely cross threads: other errors cannot be cloned, and would be lost. */
const plain = (error: unknown): Error => {
  const message =
    typeof error === "object" && error !== null && "message" in error ? String(error.message) : String(error)
  const copy = new Error(message)
  if (error instanceof Error && error.stack !== undefined) copy.stack = error.stack
  return copy
}
