import { workerData } from "node:worker_threads"
import { serveGenerator } from "./generator/thread.ts"
import { serveMeter } from "./measure/thread.ts"
import type { GeneratorTask, MeterTask } from "./messages.ts"

/** The module of every thread of the load test; its task says which one it is. */
const task = workerData as GeneratorTask | MeterTask
if (task.role === "generate") serveGenerator(task)
else serveMeter(task)
