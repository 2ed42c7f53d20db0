import { messageOf } from "@headrace/core"
import { type JobConfig, LaneMetrics, laneName, PHASES } from "@headrace/engine"
import { Effect, type Fiber, type Schema } from "effect"
import { appendWith, ClickHouseError, columnsOf, compileRows, makeTarget, patiently, runSink } from "./clickhouse.ts"
import { jsonDecoder } from "./codec.ts"
import { SimSource } from "./source.ts"
import { tableLog } from "./table-log.ts"
import type { Warehouse } from "./warehouse.ts"
import type { World } from "./world.ts"

/** Small, so that there are many blocks. */
const BLOCK_BYTES = 300
const INTERVAL_MS = 20
const POLL_RECORDS = 6

/** One process that fills the table, from its start to its end. */
export class TableNode {
  readonly name: string
  readonly source: SimSource
  alive = true
  private readonly metrics = new LaneMetrics()
  private readonly world: World
  private readonly fiber: Fiber.Fiber<never, ClickHouseError>

  constructor(world: World, warehouse: Warehouse, slot: number, incarnation: number) {
    this.world = world
    const job: Pick<JobConfig, "app" | "instance"> = world.job(`t${slot}`)
    this.name = laneName(job as JobConfig, 0)
    const { group, node, topic, marks, remembered, server } = warehouse
    this.source = new SimSource(world, this, this.name, incarnation, { group, topics: [node.topic] })
    const log = tableLog({ world, owner: this, source: this.source, group, marks, remembered, topic })
    const columns = columnsOf(node.schema, node.table)
    const fields = Object.keys((node.schema as unknown as Schema.Struct<Schema.Struct.Fields>).fields)
    const decoder = jsonDecoder(fields)
    const append = appendWith(node.topic, decoder, compileRows(columns, decoder, node.topic))
    const table = { name: node.table, sql: `\`sim\`.\`${node.table}\``, identity: node.table }
    const options = { blockBytes: BLOCK_BYTES, intervalMs: INTERVAL_MS, pollRecords: POLL_RECORDS }
    const target = Effect.retry(makeTarget(server.connect(this), table, columns, node.topic), patiently)
    const { metrics } = this
    const sink = Effect.orDie(target).pipe(
      Effect.flatMap(target =>
        runSink({ topic: node.topic, table: node.table, log, target, decoder, append, metrics, options })
      )
    )
    this.fiber = world.fork(
      this,
      `${this.name} ended`,
      world.services(this),
      sink,
      () => {},
      error => this.ended(error)
    )
  }

  /** It says that it does its part: with partitions, or as a spare. */
  get ready(): boolean {
    const phase = PHASES[this.metrics.get("phase")]
    return phase === (this.metrics.get("partitions") > 0 ? "running" : "spare")
  }

  stop(): void {
    this.fiber.interruptUnsafe()
  }

  /** kill -9. Requests that are on their way still arrive. */
  kill(): void {
    this.alive = false
    this.world.dropCallsOf(this)
  }

  private ended(error: unknown): void {
    if (isInterrupt(error)) this.source.close()
    else if (error instanceof ClickHouseError && error.passes)
      this.world.trace(`${this.name} gave up: ${error.message}`)
    else this.world.violation(`${this.name} gave up: ${messageOf(error)}`)
    this.kill()
  }
}

/** Told to stop; everything else is one thing that a person must mend. */
const isInterrupt = (reason: unknown): boolean => (reason as { readonly _tag?: unknown } | null)?._tag === "Interrupt"
