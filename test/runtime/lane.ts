// Runs the lane of a task in this runtime until it has read `records`, stops it cleanly and prints what it counted.
//   <runtime> lane.ts '{"job": …, "digest": …, "records": 1000}'
import { MessageChannel } from "node:worker_threads"
import { LaneMetrics, type WorkerTask } from "@headrace/engine"
import runLane from "../../workers/lane.ts"

const { records, ...task } = JSON.parse(process.argv[2] ?? "{}") as Pick<WorkerTask, "job" | "digest"> & {
  records: number
}
const metrics = new LaneMetrics()
const { port1, port2 } = new MessageChannel()
const done = runLane({ ...task, kind: "lane", index: 0, metrics: metrics.buffer, control: port2 })
const watch = setInterval(() => {
  if (metrics.get("recordsIn") >= records) port1.postMessage({ type: "stop" })
}, 10)
await done
clearInterval(watch)
port1.close()
console.log(JSON.stringify({ read: metrics.get("recordsIn"), written: metrics.get("recordsOut") > 0 }))
