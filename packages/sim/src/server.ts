import { Effect } from "effect"
import type { CallError, ServerShape } from "./clickhouse.ts"
import { Unavailable } from "./clickhouse.ts"
import type { Fault } from "./faults.ts"
import { rowsOf } from "./row-binary.ts"
import type { Insert, Table } from "./table.ts"
import type { CallOptions, World } from "./world.ts"

const SLOW_MS = 800
const LATE_WEIGHT = 0.3

/** What becomes of a request: `late` ones are given up by the client, and arrive long afterwards. */
type Fate = "ok" | "lost" | "answerLost" | "late" | "slow" | "part"
const FATES: Readonly<Record<Exclude<Fate, "ok">, Fault>> = {
  lost: "server request lost",
  answerLost: "server answer lost",
  late: "server request late",
  slow: "server slow",
  part: "insert partly done"
}
/** These are only once the server has done something: they are counted there. */
const LATER: ReadonlySet<Fate> = new Set(["answerLost", "part"])

/** Who calls; what is answered to somebody who was killed goes nowhere. */
export interface Caller {
  readonly alive: boolean
  readonly name: string
}

/**
 * A ClickHouse as the sink's target speaks to it: knows its few statements and refuses every other one. An insert is
 * begun (the ledger is read, the rows are filtered) and then written one table partition after the other; in between
 * the server may stop, and others insert.
 */
export class SimServer {
  down = false
  private readonly world: World
  private readonly table: Table
  /** Inserts that were begun. */
  private running: Insert[] = []
  private underWay = 0

  constructor(world: World, table: Table) {
    this.world = world
    this.table = table
  }

  start(): void {
    this.down = false
  }

  /** No request is under way, not even one that nobody waits for. */
  get quiet(): boolean {
    return this.underWay === 0
  }

  /** What was begun ends where it is. */
  stop(): void {
    this.down = true
    for (const insert of this.running) this.table.forget(insert)
    this.running = []
  }

  connect(caller: Caller): ServerShape {
    return {
      database: "sim",
      command: sql => Effect.asVoid(this.call(caller, sql, () => this.table.command(sql))),
      query: sql => this.call(caller, sql, () => this.table.query(sql)),
      insert: (structure, statement, body) => {
        const sql = statement("input(…)")
        const rows = rowsOf(structure, body)
        return this.request(caller, "insert", (fate, done) => this.insert(this.table.insert(sql, rows), fate, done))
      }
    }
  }

  private call<A>(caller: Caller, sql: string, answer: () => A): Effect.Effect<A, CallError> {
    return this.request(caller, sql.slice(0, sql.indexOf(" ", 8)), (_, done) => done(answer()))
  }

  /** On its way it belongs to nobody: it arrives although its caller was killed, or has given it up. */
  private request<A>(
    caller: Caller,
    what: string,
    arrive: (fate: Fate, done: (answer: A | CallError) => void) => void
  ): Effect.Effect<A, CallError> {
    return Effect.callback<A, CallError>(resume => {
      const { world } = this
      const label = `${caller.name} ${what}`
      const fate = this.fate(what)
      if (fate !== "ok" && !LATER.has(fate)) world.inject(FATES[fate])
      const answer = (result: A | CallError): void => {
        const failed = result instanceof Unavailable && !(world.sabotage === "insertAssumed" && what === "insert")
        if (!caller.alive) return
        world.call(caller, `${label} answered`, () =>
          resume(failed ? Effect.fail(result) : Effect.succeed(result as A))
        )
      }
      const unanswered = fate === "lost" || fate === "late" || fate === "answerLost"
      if (unanswered) answer(unavailable(`${label}: timed out (${fate})`))
      if (fate === "lost") return
      this.underWay++
      const done = (result: A | CallError): void => {
        this.underWay--
        if (!unanswered) answer(result)
      }
      const options: CallOptions = {
        ...(fate === "late" && { weight: LATE_WEIGHT }),
        ...(fate === "slow" && { due: world.now + world.random.int(1, SLOW_MS) })
      }
      const arrived = (): void => {
        if (this.down) return done(unavailable(`${label}: the server is down`))
        if (fate === "answerLost") world.inject(FATES[fate])
        arrive(fate, done)
      }
      world.call(undefined, fate === "late" ? `${label} late` : label, arrived, options)
    })
  }

  /** Writes the parts one by one; ends early, behind one of them, where it is to be done in part only. */
  private insert(insert: Insert, fate: Fate, done: (answer: undefined | CallError) => void): void {
    const { world } = this
    // With one part it is done or not.
    const left = fate === "part" && insert.parts.length > 1 ? world.random.int(1, insert.parts.length - 1) : 0
    this.running.push(insert)
    const end = (answer: undefined | CallError): void => {
      this.running = this.running.filter(one => one !== insert)
      this.table.forget(insert)
      done(answer)
    }
    const next = (): void => {
      if (!this.running.includes(insert)) return done(unavailable("the server stopped"))
      if (left > 0 && insert.parts.length === left) {
        world.inject("insert partly done")
        return end(unavailable("too little memory"))
      }
      if (insert.parts.length === 0) return end(undefined)
      this.table.write(insert, insert.parts.shift()!)
      world.call(undefined, "insert goes on", next)
    }
    next()
  }

  /** Only an insert has parts. */
  private fate(what: string): Fate {
    const { random, faults } = this.world
    if (what === "insert" && random.chance(faults.server * 3)) return "part"
    if (!random.chance(faults.server)) return "ok"
    return random.pick(["lost", "answerLost", "late", "slow"] as const)
  }
}

const unavailable = (message: string): Unavailable => new Unavailable({ message, cause: "simulated" })
