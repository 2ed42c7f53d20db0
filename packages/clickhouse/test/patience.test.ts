import { expect, test } from "bun:test"
import { LogError, type LogFailure } from "@headrace/engine"
import { ClickHouseError } from "../src/errors.ts"
import { stopped } from "../src/patience.ts"

/** A new start mends what became of the client or of its membership; the rest waits for a person. */
const starts: Readonly<Record<string, readonly LogFailure[]>> = { again: ["Gone", "Fenced"], never: ["Stop"] }

test.each(Object.entries(starts).flatMap(([start, all]) => all.map(failure => [failure, start] as const)))(
  "a sink whose log fails with %s is started %s",
  (failure, start) => {
    const error = new ClickHouseError({ table: "spend", reason: stopped(new LogError(failure, "why")) })
    expect(error.passes).toBe(start === "again")
  }
)
