import { fatal, LaneMetrics, PHASES, Whereabouts, type WorkerMessage, type WorkerTask } from "@headrace/engine"

/** A unit whose behaviour its `app` asks for, by the number of its starts (kept in shared memory as `restores`). */
export default async (task: WorkerTask): Promise<void> => {
  const metrics = new LaneMetrics(task.metrics)
  // Who sees that it has started sees that it runs.
  if (task.kind !== "checkpoint" && task.job.app !== "starting") metrics.set("phase", PHASES.indexOf("running"))
  metrics.add("restores", 1)
  if (task.kind === "checkpoint") return round(metrics.get("restores"))
  if (task.job.app === "starting") await new Promise(() => {})
  metrics.set("followed", task.topics?.get("orders") ?? 0)
  const dies = task.index === 0 && metrics.get("restores") <= 2
  if (dies && task.job.app === "throws") throw new Error("cannot go on")
  if (dies && task.job.app === "exits") process.exit(3)
  if (task.index === 0 && task.job.app === "hangs") {
    metrics.within(0, 3)
    metrics.at(42)
    for (;;);
  }
  if (task.index === 0 && task.job.app === "always") throw new Error("again")
  if (task.index === 0 && task.job.app === "restores") {
    metrics.set("phase", PHASES.indexOf("restoring"))
    throw new Error("again")
  }
  if (task.index === 0 && task.job.app === "fatal") throw fatal("a person must act")
  if (task.job.app === "lags") metrics.set("lag", 5)
  const beat = setInterval(() => metrics.add("beats", 1), 20)
  await new Promise<void>(resolve => {
    task.control.on("message", (message: WorkerMessage) => {
      if (message.type === "halt") rest(task, message.halt.number)
      else if (task.job.app !== "deaf") resolve()
    })
  })
  clearInterval(beat)
  metrics.add("commits", 1)
  task.control.close()
}

/** Its one partition has come to rest. */
const rest = ({ whereabouts, index }: WorkerTask, halt: number): void => {
  const own = [{ topic: "orders", partition: index }]
  new Whereabouts(whereabouts!).say(index, own, halt, own)
}

/** The first one fails, the second one never ends, and all others do. */
const round = (number: number): void => {
  if (number === 1) throw new Error("no room")
  while (number === 2);
}
