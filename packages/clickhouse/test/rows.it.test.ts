import { afterAll, beforeAll, expect, test } from "bun:test"
import { ByteWriter } from "@headrace/core"
import { type ClickHouse, startClickHouse } from "@headrace/dev"
import { Effect, Exit, Schema, Scope } from "effect"
import fc from "fast-check"
import { PartitionRows } from "../src/block.ts"
import { type Column, columnsOf, quoteText } from "../src/columns.ts"
import { compileRows } from "../src/rows.ts"
import { connect, type ServerShape } from "../src/server.ts"
import { prepareTable } from "../src/tables.ts"
import { makeTarget } from "../src/target.ts"
import { uniqueName } from "./harness.ts"
import { encodePlain, plainDecoder } from "./plain-format.ts"

const scope = Scope.makeUnsafe()
let clickhouse: ClickHouse
let server: ServerShape
beforeAll(async () => {
  clickhouse = await startClickHouse()
  server = await Effect.runPromise(Scope.provide(connect({ url: clickhouse.url, database: uniqueName("db") }), scope))
})
afterAll(async () => {
  await Effect.runPromise(Scope.close(scope, Exit.void))
  await clickhouse?.stop()
})

const Everything = Schema.Struct({
  text: Schema.String,
  other: Schema.String,
  word: Schema.Literals(["one", "two", "drei ü"]),
  integer: Schema.Int,
  small: Schema.Int.annotate({ "headrace/avro/type": "int" }),
  at: Schema.Int.annotate({ "headrace/avro/type": "timestamp-millis" }),
  number: Schema.Finite,
  single: Schema.Finite.annotate({ "headrace/avro/type": "float" }),
  big: Schema.BigInt,
  flag: Schema.Boolean,
  maybeText: Schema.NullOr(Schema.String),
  maybeWord: Schema.optionalKey(Schema.Literals(["x", "y"])),
  maybeInteger: Schema.NullOr(Schema.Int),
  list: Schema.Array(Schema.String),
  numbers: Schema.Array(Schema.NullOr(Schema.Int)),
  table: Schema.Record(Schema.String, Schema.Int),
  nested: Schema.Struct({ a: Schema.Int, b: Schema.Array(Schema.String) })
})
const SPANS = ["text", "other"]

const safe = fc.maxSafeInteger()
const text = fc.string({ unit: "grapheme", maxLength: 90 })
const record = fc.record({
  text,
  other: text,
  word: fc.constantFrom("one", "two", "drei ü"),
  integer: safe,
  small: fc.integer(),
  at: fc.integer({ min: 0, max: 4_000_000_000_000 }),
  number: fc.double({ noNaN: true, noDefaultInfinity: true }),
  single: fc.float({ noNaN: true, noDefaultInfinity: true }),
  big: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  flag: fc.boolean(),
  maybeText: fc.option(text, { nil: null }),
  maybeWord: fc.constantFrom("x", "y", undefined),
  maybeInteger: fc.option(safe, { nil: null }),
  list: fc.array(text, { maxLength: 5 }),
  numbers: fc.array(fc.option(safe, { nil: null }), { maxLength: 5 }),
  table: fc.dictionary(fc.string({ maxLength: 5 }), safe, { maxKeys: 4, noNullPrototype: true }),
  nested: fc.record({ a: safe, b: fc.array(text, { maxLength: 3 }) })
})
type Row = typeof record extends fc.Arbitrary<infer A> ? A : never

const clock = (ms: number): string => new Date(ms).toISOString().slice(0, 23).replace("T", " ")

/** The naive way: ClickHouse's own JSON, a line a row. */
const jsonRow = (row: Row, offset: number) =>
  JSON.stringify(
    {
      ...row,
      at: clock(row.at),
      maybeWord: row.maybeWord ?? null,
      nested: JSON.stringify(row.nested),
      _topic: "topic",
      _partition: 3,
      _offset: offset,
      _timestamp: clock(1_700_000_000_000)
    },
    (_, value: unknown) => (typeof value === "bigint" ? value.toString() : value)
  )

const binary = (columns: readonly Column[], rows: readonly Row[]): PartitionRows => {
  const decoder = plainDecoder(Object.keys(rows[0]!), SPANS)
  const write = compileRows(columns, decoder, "topic")
  const out = new PartitionRows(3)
  for (const [offset, row] of rows.entries()) {
    const bytes = encodePlain(row, SPANS)
    write(decoder.view(bytes, 0, bytes.length), bytes, out.out, 3, offset, 1_700_000_000_000)
    out.added(offset, 1_700_000_000_000)
  }
  return out
}

test("rows as bytes give the same table as rows as JSON, for all types", async () => {
  const columns = columnsOf(Everything, "everything")
  await fc.assert(
    fc.asyncProperty(fc.array(record, { minLength: 1, maxLength: 60 }), async rows => {
      const [fast, naive] = [uniqueName("fast"), uniqueName("naive")]
      const table = await Effect.runPromise(prepareTable(server, fast, columns))
      await Effect.runPromise(prepareTable(server, naive, columns))
      const target = await Effect.runPromise(makeTarget(server, table, columns, "topic"))
      const part = binary(columns, rows)
      await Effect.runPromise(target.insert({ parts: [part], plan: { ranges: [part.range()], timestamp: 1 } }))
      const lines = rows.map(jsonRow).join("\n")
      const settings =
        "session_timezone = 'UTC', async_insert = 0, input_format_json_read_numbers_as_strings = 1, precise_float_parsing = 1"
      await Effect.runPromise(
        server.command(`INSERT INTO ${server.database}.${naive} SETTINGS ${settings} FORMAT JSONEachRow ${lines}`)
      )
      const all = (name: string) =>
        Effect.runPromise(server.query(`SELECT * FROM ${server.database}.${name} ORDER BY _offset`))
      expect(await all(fast)).toEqual((await all(naive)) as Record<string, unknown>[])
    }),
    { numRuns: 15 }
  )
})

test("a table that exists is checked: missing, different, not Nullable, forgetful", async () => {
  const { database } = server
  const run = (sql: string) => Effect.runPromise(server.command(sql))
  const problem = (name: string, schema: Schema.Top, options = {}) =>
    Effect.runPromise(Effect.flip(prepareTable(server, name, columnsOf(schema, name), options))).then(e => e.message)
  const small = Schema.Struct({ id: Schema.Int })
  const name = uniqueName("small")
  const columns = columnsOf(small, name)
  const first = await Effect.runPromise(prepareTable(server, name, columns))
  expect(await Effect.runPromise(prepareTable(server, name, columns))).toEqual(first)

  const wider = Schema.Struct({ id: Schema.Int, note: Schema.NullOr(Schema.String) })
  expect(await problem(name, wider)).toContain(
    `ALTER TABLE \`${database}\`.\`${name}\` ADD COLUMN \`note\` Nullable(String)`
  )
  await Effect.runPromise(prepareTable(server, name, columnsOf(wider, name), { addColumns: true }))
  await Effect.runPromise(prepareTable(server, name, columnsOf(wider, name)))
  expect(await problem(name, Schema.Struct({ id: Schema.String }))).toContain("needs String")
  expect(await problem(name, Schema.Struct({ id: Schema.NullOr(Schema.Int) }))).toContain("needs Nullable(Int64)")
  const strict = Schema.Struct({ id: Schema.Int, must: Schema.Int })
  expect(await problem(name, strict, { addColumns: true })).toContain("no column must")

  await run(`ALTER TABLE ${database}.${name} MODIFY SETTING non_replicated_deduplication_window = 0`)
  expect(await problem(name, small)).toContain("MODIFY SETTING non_replicated_deduplication_window")
  await run(
    `CREATE TABLE ${database}.memory_${name} (id Int64, _topic String, _partition Int32, _offset Int64, _timestamp DateTime64(3, 'UTC')) ENGINE = Memory`
  )
  expect(await problem(`memory_${name}`, small)).toContain("Memory")
})

test("a block that is sent again reaches the views that it did not reach before, and none twice", async () => {
  const { database } = server
  const run = (sql: string) => Effect.runPromise(server.command(sql))
  const rowsOf = async (name: string) =>
    Number((await Effect.runPromise(server.query(`SELECT count() AS n FROM ${database}.${name}`)))[0]!.n)
  const [name, seen] = [uniqueName("viewed"), uniqueName("seen")]
  const columns = columnsOf(Everything, name)
  const table = await Effect.runPromise(prepareTable(server, name, columns))
  const target = await Effect.runPromise(makeTarget(server, table, columns, "topic"))
  const part = binary(columns, fc.sample(record, { numRuns: 7, seed: 1 }))
  const send = () => Effect.runPromise(target.insert({ parts: [part], plan: { ranges: [part.range()], timestamp: 1 } }))
  // The server died between the table and the view: to the view the block is a new one.
  await send()
  await run(
    `CREATE TABLE ${database}.${seen} (_offset Int64) ENGINE = MergeTree ORDER BY _offset SETTINGS non_replicated_deduplication_window = 100`
  )
  await run(
    `CREATE MATERIALIZED VIEW ${database}.view_${name} TO ${database}.${seen} AS SELECT _offset FROM ${database}.${name}`
  )
  await send()
  expect([await rowsOf(name), await rowsOf(seen)]).toEqual([7, 7])
  await send()
  expect([await rowsOf(name), await rowsOf(seen)]).toEqual([7, 7])
})

/**
 * What a server may have by default: ClickHouse's own defaults, or the pieces and threads of some installations. Threads share
 * blocks out; where the sizes make one of an insert, they have nothing to share.
 */
const PIECES = "?ch_max_insert_block_size=1000&ch_min_insert_block_size_rows=1000&ch_min_insert_block_size_bytes=1000"

test.each([
  ["as ClickHouse has it", ""],
  ["small blocks", PIECES],
  ["small blocks, written by several threads", `${PIECES}&ch_max_threads=4&ch_max_insert_threads=4`]
])("an insert is one block, however many rows it has and whatever the server's default is: %s", async (_, defaults) => {
  const scoped = Effect.gen(function* () {
    const server = yield* connect({ url: `${clickhouse.url}${defaults}`, database: uniqueName("db") })
    const name = uniqueName("large")
    const columns = columnsOf(Schema.Struct({ id: Schema.Int }), name)
    const table = yield* prepareTable(server, name, columns)
    const target = yield* makeTarget(server, table, columns, "topic")
    // Twice as many as it takes for a block by itself.
    const [own] = yield* server.query(
      "SELECT max(toUInt64(value)) AS rows FROM system.settings WHERE name IN ('max_insert_block_size', 'min_insert_block_size_rows')"
    )
    const part = manyRows(columns, Number(own!.rows) * 2)
    yield* target.insert({ parts: [part], plan: { ranges: [part.range()], timestamp: 1 } })
    // Each block of an insert takes a number, which merges keep.
    const [found] = yield* server.query(
      `SELECT sum(rows) AS rows, max(max_block_number) - min(min_block_number) + 1 AS blocks FROM system.parts WHERE active AND database = ${quoteText(server.database)} AND table = ${quoteText(name)}`
    )
    expect([Number(found!.rows), Number(found!.blocks)]).toEqual([part.rows, 1])
    return part.rows
  })
  const rows = await Effect.runPromise(Effect.scoped(scoped))
  expect(rows > 1_000_000).toBe(defaults === "")
})

const manyRows = (columns: readonly Column[], count: number): PartitionRows => {
  const decoder = plainDecoder(["id"], [])
  const write = compileRows(columns, decoder, "topic")
  const out = new PartitionRows(3)
  const bytes = encodePlain({ id: 1 }, [])
  const view = decoder.view(bytes, 0, bytes.length)
  for (let offset = 0; offset < count; offset++) {
    write(view, bytes, out.out, 3, offset, 1_700_000_000_000)
    out.added(offset, 1_700_000_000_000)
  }
  return out
}

test("names and texts with quotes and backslashes are only names and texts", async () => {
  const odd = "it's `a` \\ table"
  await Effect.runPromise(prepareTable(server, odd, columnsOf(Schema.Struct({ id: Schema.Int }), odd)))
  const found = await Effect.runPromise(
    server.query(
      `SELECT count() AS n FROM system.tables WHERE database = ${quoteText(server.database)} AND name = ${quoteText(odd)}`
    )
  )
  expect(Number(found[0]!.n)).toBe(1)
})

test("a writer for rows costs no string where bytes can be copied", () => {
  const decoder = plainDecoder(["text"], ["text"])
  const write = compileRows(columnsOf(Schema.Struct({ text: Schema.String }), "t"), decoder, "topic")
  const bytes = encodePlain({ text: "grüß" }, ["text"])
  decoder.view(bytes, 0, bytes.length)
  const trap = new Proxy(
    {},
    {
      get: () => {
        throw new Error("the string was made")
      }
    }
  )
  const out = new ByteWriter()
  write(trap, bytes, out, 1, 2, 3)
  expect(out.written().subarray(0, 7)).toEqual(Uint8Array.of(6, 103, 114, 195, 188, 195, 159))
})
