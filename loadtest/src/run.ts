import { Effect, Schedule, type Scope } from "effect"
import { now } from "./clock.ts"
import { LoadError, loadError } from "./error.ts"
import { type Expectation, expectationOf } from "./expectation.ts"
import { plantedAccounts } from "./generator/plants.ts"
import { judge, judgeByRule } from "./measure/alerts.ts"
import { WindowSum } from "./measure/checksum.ts"
import { Tables } from "./measure/tables.ts"
import type { GeneratorTask, MeterResult } from "./messages.ts"
import type { LoadOptions } from "./options.ts"
import { Progress } from "./progress.ts"
import { type ClickHouseAudit, type LoadReport, problemsOf } from "./report.ts"
import { MAX_THREADS, RUNS } from "./scenarios/payments/ids.ts"
import { SILENCE_MS } from "./scenarios/payments/limits.ts"
import { BOUND_MS, WINDOW_MS, windowStart } from "./scenarios/payments/windows.ts"
import { openThread, type Thread } from "./thread.ts"
import { readPartitions } from "./topics.ts"

const SNAPSHOT_EVERY = "250 millis"
/** Each probe costs ClickHouse some milliseconds, on the machine that is measured. */
const PROBE_EVERY = "250 millis"
const DRAIN_CHECK = "100 millis"
/** All threads start to send at one moment, this much after the last one is ready. */
const LEAD_MS = 200
/** What comes twice may come the second time when all has come once. */
const QUIET = "1500 millis"

/** A run with all its threads. */
interface Run {
  readonly options: LoadOptions
  readonly id: number
  readonly partitions: number
  readonly progress: Progress
  readonly meter: Thread
  readonly generators: readonly Thread[]
}

/**
 * Sends a load and says what became of it. The pipeline has to run already. Takes as long as the load, then until
 * everything has come out (at most `patienceMs` without progress). Interrupting it ends its threads.
 */
export const runLoad = (options: LoadOptions): Effect.Effect<LoadReport, LoadError> => Effect.scoped(load(options))

const load = Effect.fnUntraced(function* (options: LoadOptions) {
  yield* checkOptions(options)
  const run = yield* open(options)
  const { lastAt } = yield* run.meter.ask("positions", { partitions: run.partitions })
  yield* Effect.forEach(run.generators, generator => generator.ask("prepare", null), { concurrency: "unbounded" })
  const startAt = Math.ceil(now()) + LEAD_MS
  const firstWindow = firstWindowOf(startAt, lastAt, options)
  const latencyFrom = startAt + options.warmupMs
  yield* run.meter.ask("measure", {
    run: run.id,
    threads: options.threads,
    partitions: run.partitions,
    accounts: options.accounts,
    planted: plantedAccounts(options.forMs, options.threads),
    firstWindow,
    windowMs: WINDOW_MS,
    latencyFrom
  })
  yield* watchTables(run, firstWindow, latencyFrom)
  yield* showProgress(run)
  const expected = yield* send(run, startAt, eventTimeShift(startAt, firstWindow, options))
  const sentAt = now()
  const drained = yield* drain(run, expected)
  const drainMs = drained ? now() - sentAt : Number.POSITIVE_INFINITY
  yield* Effect.sleep(QUIET)
  return yield* report(run, expected, startAt, drainMs)
})

const checkOptions = ({ threads, accounts, rate }: LoadOptions): Effect.Effect<void, LoadError> => {
  if (!(threads >= 1 && threads <= MAX_THREADS)) return refuse(`threads is ${threads}: choose 1 to ${MAX_THREADS}`)
  if (!(accounts >= 1 && accounts <= 1_000_000)) return refuse(`accounts is ${accounts}: choose 1 to 1,000,000`)
  return rate > 0 ? Effect.void : refuse(`rate is ${rate}: choose a number of events a second above 0`)
}

const refuse = (message: string) => Effect.fail(new LoadError({ message }))

const open = Effect.fnUntraced(function* (options: LoadOptions): Effect.fn.Return<Run, LoadError, Scope.Scope> {
  const partitions = yield* readPartitions(options)
  const progress = new Progress(options)
  const id = Math.floor(now() / 1000) % RUNS
  const { kafka, registry, worker } = options
  const meter = yield* openThread(worker, { role: "measure", kafka, registry, gauges: progress.meter.buffer })
  const generators = yield* Effect.forEach(progress.generators, ({ buffer }, thread) =>
    openThread(worker, generatorTask(options, id, thread, partitions, buffer))
  )
  return { options, id, partitions, progress, meter, generators }
})

const generatorTask = (
  options: LoadOptions,
  run: number,
  thread: number,
  partitions: number,
  gauges: SharedArrayBuffer
): GeneratorTask => {
  const { kafka, registry, threads, rate, forMs, burst, accounts, zipf, seed, disorderMs, lateFraction } = options
  const events = { seed, disorderMs, lateFraction }
  const role = "generate"
  return { role, kafka, registry, run, thread, threads, rate, forMs, burst, accounts, zipf, events, partitions, gauges }
}

/**
 * The first window of a run begins after every window that events before it could have touched: closing events of an
 * earlier run have moved the watermark into the future, and what is left open of it is not ours.
 */
const firstWindowOf = (startAt: number, lastAt: number, { disorderMs }: LoadOptions): number =>
  lastAt + disorderMs < startAt - disorderMs - WINDOW_MS
    ? windowStart(startAt - disorderMs)
    : windowStart(Math.max(startAt, lastAt) + disorderMs) + WINDOW_MS

const eventTimeShift = (startAt: number, firstWindow: number, { disorderMs }: LoadOptions): number =>
  Math.max(0, firstWindow - (startAt - disorderMs))

const send = Effect.fnUntraced(function* (run: Run, startAt: number, eventTimeShiftMs: number) {
  run.progress.startAt = startAt
  run.progress.phase = "running"
  const stop = Effect.forEach(run.generators, generator => generator.ask("stop", null))
  yield* Effect.forkChild(Effect.andThen(aborted(run.options.stop), stop))
  const results = yield* Effect.forEach(
    run.generators,
    generator => generator.ask("send", { startAt, eventTimeShiftMs }),
    { concurrency: "unbounded" }
  )
  const expected = expectationOf(results)
  run.progress.phase = "draining"
  // Beyond the end of every window, and of every silence.
  yield* run.generators[0]!.ask("close", { at: expected.maxAt + Math.max(WINDOW_MS, SILENCE_MS) + BOUND_MS + 1_000 })
  return expected
})

/** Ends when the signal is aborted; never without one. */
const aborted = (signal: AbortSignal | undefined): Effect.Effect<void> =>
  signal === undefined
    ? Effect.never
    : Effect.callback<void>(resume => {
        const done = () => resume(Effect.void)
        if (signal.aborted) done()
        signal.addEventListener("abort", done, { once: true })
        return Effect.sync(() => signal.removeEventListener("abort", done))
      })

/** Waits until everything has come out: true, or false when nothing moved any more for `patienceMs`. */
const drain = Effect.fnUntraced(function* (run: Run, expected: Expectation) {
  let arrived = -1
  let movedAt = now()
  while (!(yield* isComplete(run, expected))) {
    if (run.progress.arrived !== arrived) movedAt = now()
    arrived = run.progress.arrived
    if (now() - movedAt > run.options.patienceMs) return false
    yield* Effect.sleep(DRAIN_CHECK)
  }
  return true
})

const isComplete = Effect.fnUntraced(function* (run: Run, expected: Expectation) {
  const { meter, tables } = run.progress
  if (meter.get("received") < expected.sent || meter.get("payments") < expected.windows.payments) return false
  if (meter.get("alerts") < expected.alerts.length) return false
  if (tables === undefined) return true
  if (tables.rows < expected.sent) return false
  const alerts = yield* patiently(run, "read the table of alerts", () => tables.alerts())
  if (alerts.size < expected.alerts.length) return false
  const spend = yield* patiently(run, "read the spend table", () => tables.spend())
  return spend.rows >= meter.get("windows")
})

const fromTables = <A>(what: string, ask: () => Promise<A>): Effect.Effect<A, LoadError> =>
  Effect.tryPromise({ try: ask, catch: cause => loadError(`cannot ${what} in ClickHouse`, cause) })

/** The same with patience for a server that is away for a moment. */
const patiently = <A>(run: Run, what: string, ask: () => Promise<A>): Effect.Effect<A, LoadError> =>
  fromTables(what, ask).pipe(
    Effect.retry({ schedule: Schedule.spaced("1 second"), times: Math.ceil(run.options.patienceMs / 1000) })
  )

/** Polls the tables beside the run, whatever becomes of one poll. */
const watchTables = Effect.fnUntraced(function* (run: Run, firstWindow: number, latencyFrom: number) {
  const access = run.options.clickhouse
  if (access === undefined) return
  const tables = yield* Effect.acquireRelease(
    Effect.sync(() => new Tables(access, { run: run.id, firstWindow }, latencyFrom)),
    opened => Effect.promise(() => opened.close())
  )
  run.progress.tables = tables
  const probe = fromTables("look for new rows", () => tables.poll()).pipe(
    Effect.tapError(error => Effect.logWarning(error.message))
  )
  yield* Effect.forkScoped(
    probe.pipe(Effect.retry(Schedule.spaced("1 second")), Effect.repeat(Schedule.spaced(PROBE_EVERY)))
  )
})

const showProgress = ({ options, progress }: Run) => {
  const show = options.onSnapshot
  if (show === undefined) return Effect.void
  const once = Effect.sync(() => show(progress.snapshot()))
  return Effect.forkScoped(Effect.repeat(once, Schedule.spaced(SNAPSHOT_EVERY)))
}

const report = Effect.fnUntraced(function* (run: Run, expected: Expectation, startAt: number, drainMs: number) {
  run.progress.phase = "auditing"
  const found = yield* run.meter.ask("result", { sent: expected.sentBy })
  const tables = run.progress.tables
  const clickhouse =
    tables === undefined
      ? undefined
      : yield* patiently(run, "audit the tables", () => auditTables(tables, expected, found))
  run.progress.phase = "done"
  return reportOf(run, expected, found, clickhouse, startAt, drainMs)
})

/** The spend table has to hold the very windows that the topic holds; late events are in no window. */
const auditTables = async (tables: Tables, expected: Expectation, found: MeterResult): Promise<ClickHouseAudit> => {
  const spent = { rows: found.windowCount, payments: found.spent.payments, cents: found.spent.cents }
  const events = await tables.audit(expected.sentBy, spent)
  return { ...events, patterns: judge(expected.alerts, await tables.alerts()) }
}

const reportOf = (
  { options, id }: Run,
  expected: Expectation,
  found: MeterResult,
  clickhouse: ClickHouseAudit | undefined,
  startAt: number,
  drainMs: number
): LoadReport => {
  const processed = found.distinct.reduce((sum, count) => sum + count, 0)
  const measured = {
    run: id,
    rate: options.rate,
    forMs: options.forMs,
    seed: options.seed,
    threads: options.threads,
    sent: expected.sent,
    unacknowledged: expected.unacknowledged,
    processed,
    lost: Math.max(0, expected.sent - processed - expected.unacknowledged),
    duplicated: found.duplicated,
    disordered: found.disordered,
    throughputEps: (processed * 1000) / Math.max(1, found.lastAt - startAt),
    latencyMs: found.latency,
    warmupMs: options.warmupMs,
    late: { planted: expected.late, seen: found.late },
    windows: {
      windows: found.windowCount,
      duplicated: found.windowsDuplicated,
      payments: found.windows.payments,
      expectedPayments: expected.windows.payments,
      exact: new WindowSum().plus(expected.windows).equals(found.windows)
    },
    patterns: {
      ...judge(expected.alerts, found.alerts),
      planted: expected.scripts,
      byRule: judgeByRule(expected.alerts, found.alerts)
    },
    clickhouse,
    behindMs: expected.behindMs,
    queueFull: expected.queueFull,
    drainMs
  }
  return { ...measured, problems: problemsOf(measured) }
}
