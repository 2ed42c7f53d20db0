import { describe, expect, test } from "bun:test"
import type { LogError, LostOffsets } from "@headrace/engine"
import { CheckpointWriter } from "../src/engine.ts"
import { NO_FAULTS } from "../src/faults.ts"
import { Recovery } from "./recovery.ts"

const COMMITTED = { a: "1", b: "2", c: "3" }

/** Two checkpoints, one of `a` and one of `a` and `b`, and `c` in the changelog behind them. */
const checkpointed = (): Recovery => {
  const recovery = new Recovery()
  recovery.commit(5, { a: "1" })
  recovery.checkpoint()
  recovery.commit(9, { b: "2" })
  recovery.checkpoint()
  recovery.commit(12, { c: "3" })
  expect(recovery.checkpoints().length).toBe(2)
  return recovery
}

const refused = (recovery: Recovery, lost?: LostOffsets): LogError => {
  const result = recovery.restore(lost)
  if (!("error" in result)) throw new Error(`It was restored to ${result.offset}`)
  expect(result.error.failure).toBe("Stop")
  return result.error
}

test("state comes from the newest checkpoint and the changelog behind it", () => {
  const recovery = checkpointed()
  expect(recovery.restore()).toEqual({ offset: 12, state: COMMITTED })
  expect(recovery.said).toEqual([])
})

test("how much there is of the changelog is known before the checkpoint is back", () => {
  const recovery = checkpointed()
  const since = Number(/(\d+)\.checkpoint$/.exec(recovery.checkpoints().at(-1)!)![1])
  const { log } = recovery.world
  const known: unknown[] = []
  const during = recovery.progress.during.bind(recovery.progress)
  recovery.progress.during = restore =>
    during(part =>
      restore({
        ...part,
        checkpoint: (_, from) => known.push(["checkpoint", from]),
        written: end => known.push(["written", end]),
        changelog: () => known.push("changelog")
      })
    )
  recovery.restore()
  expect(known.toSorted()).toEqual([
    "changelog",
    ["checkpoint", since],
    ["written", log.at(recovery.log).entries.length]
  ])
  expect(known.at(-1)).toBe("changelog")
})

test("the changelog is fetched while the checkpoint is put back, and from further back where that is damaged", () => {
  const recovery = checkpointed()
  recovery.restore()
  const since = recovery.read.at(-1)!
  expect(recovery.ahead.map(String)).toEqual([since])
  recovery.replace(recovery.checkpoints().at(-1)!, bytes => bytes.slice(0, -1))
  recovery.restore()
  expect(recovery.ahead).toHaveLength(3)
  expect(String(recovery.ahead.at(-1))).toBe(recovery.read.at(-1)!)
  expect(recovery.ahead.at(-1)!).toBeLessThan(Number(since))
})

test.each([
  [
    "a byte of it is another one",
    (bytes: Uint8Array) => bytes.with(bytes.length >> 1, 255 - bytes[bytes.length >> 1]!)
  ],
  ["it was cut off", (bytes: Uint8Array) => bytes.slice(0, bytes.length - 1)],
  ["it was cut off early", (bytes: Uint8Array) => bytes.slice(0, 20)],
  ["it is empty", () => new Uint8Array(0)]
])("a damaged checkpoint falls back to the one before, loudly: %s", (_, damage) => {
  const recovery = checkpointed()
  const newest = recovery.checkpoints().at(-1)!
  recovery.replace(newest, damage)
  expect(recovery.restore()).toEqual({ offset: 12, state: COMMITTED })
  expect(recovery.said).toEqual([expect.stringContaining(`Checkpoint ${newest} is damaged`)])
})

describe("a checkpoint that the store does not hand over, though it answers,", () => {
  const unreadable = (...places: readonly number[]) => {
    const recovery = checkpointed()
    const names = recovery.checkpoints()
    for (const place of places) recovery.world.disk.block(names.at(place)!)
    return { recovery, newest: names.at(-1)!, before: names.at(-2)! }
  }
  const passing = (recovery: Recovery, message: string) => {
    expect(recovery.restore()).toMatchObject({ error: { failure: "Retry", message } })
    expect(recovery.said).toEqual([])
  }

  test("falls back to the one before, loudly", () => {
    const { recovery, newest, before } = unreadable(-1)
    expect(recovery.restore()).toEqual({ offset: 12, state: COMMITTED })
    expect(recovery.said).toEqual([
      `A checkpoint could not be read 4 times in a row, though the store answers: cannot get ${newest} Falling back to the one before, ${before}.`
    ])
  })

  test("is read again first", () => {
    const { recovery, newest } = unreadable(-1)
    recovery.before("sleep", () => recovery.world.disk.mend(newest))
    expect(recovery.restore()).toEqual({ offset: 12, state: COMMITTED })
    expect(recovery.said).toEqual([])
  })

  test("is waited for where none before it can be read", () => {
    const { recovery, newest } = unreadable(-1, -2)
    passing(recovery, `cannot get ${newest}`)
  })

  test("is waited for where the changelog does not reach back to the one before", () => {
    const { recovery, newest } = unreadable(-1)
    const log = recovery.world.log.at(recovery.log)
    log.start = Number(/(\d+)\.checkpoint$/.exec(newest)![1])
    passing(recovery, `cannot get ${newest}`)
    recovery.world.disk.mend(newest)
    expect(recovery.restore()).toEqual({ offset: 12, state: COMMITTED })
  })

  test("is replaced by a round, by what comes of the one before", () => {
    const { recovery } = unreadable(-1)
    recovery.checkpoint()
    for (const to of [13, 14]) {
      recovery.commit(to, { d: String(to) })
      recovery.checkpoint()
    }
    recovery.said.length = 0
    expect(recovery.restore()).toEqual({ offset: 14, state: { ...COMMITTED, d: "14" } })
    expect(recovery.said).toEqual([])
  })
})

test("a checkpoint that cannot be written is no sign that the one before could not be read", () => {
  const recovery = checkpointed()
  const reads = recovery.read.length
  recovery.world.disk.full = true
  expect(() => recovery.checkpoint()).toThrow("cannot put")
  expect(recovery.read.length).toBe(reads + 1)
  expect(recovery.said).toEqual([])
})

test("a changelog that was trimmed beyond every usable checkpoint stops the job", () => {
  const damaged = checkpointed()
  for (const name of damaged.checkpoints()) damaged.replace(name, bytes => bytes.slice(1))
  expect(refused(damaged).message).toMatch(
    /begins at \d+, but there is no usable checkpoint: .*Restore the checkpoints/
  )
  const trimmed = checkpointed()
  trimmed.trim()
  expect(refused(trimmed).message).toMatch(/begins at \d+, but the newest usable checkpoint ends at \d+/)
})

test("a changelog that rounds of checkpoints trimmed meanwhile is read again by the next run", () => {
  const recovery = checkpointed()
  const newest = Number(/(\d+)\.checkpoint$/.exec(recovery.checkpoints().at(-1)!)![1])
  recovery.before(`read ${recovery.changelogName} from ${newest}`, () => {
    for (const to of [15, 18]) {
      recovery.commit(to, { d: String(to) })
      recovery.checkpoint()
    }
  })
  const result = recovery.restore()
  expect("error" in result && result.error).toMatchObject({ failure: "Retry" })
  expect(recovery.restore()).toEqual({ offset: 18, state: { ...COMMITTED, d: "18" } })
})

describe("what may pass is tried again by the restore itself, from the beginning", () => {
  test("a store that is away for a while", () => {
    const recovery = checkpointed()
    recovery.world.faults = { ...NO_FAULTS, fail: 3 }
    recovery.before("sleep", () => {
      recovery.before("sleep", () => {
        recovery.world.faults = NO_FAULTS
      })
    })
    expect(recovery.insist()).toEqual({ offset: 12, state: COMMITTED })
    expect(recovery.warned).toEqual([
      expect.stringMatching(/Cannot restore events\/0, tries again in 250 ms while .* go on: cannot list sim\/events/),
      expect.stringContaining("tries again in 500 ms")
    ])
    // Nobody takes it for a standstill.
    expect(recovery.metrics.get("restoreFailures")).toBe(2)
  })

  test("a changelog that was trimmed meanwhile, with nothing left of what was put back before", () => {
    const recovery = checkpointed()
    const newest = recovery.checkpoints().at(-1)!
    const before = recovery.world.disk.files.get(newest)!
    const since = Number(/(\d+)\.checkpoint$/.exec(newest)![1])
    const file = new CheckpointWriter()
    const header = { topic: "events", partition: 0, changelogOffset: since, sourceOffset: 9 }
    const alien = [[Buffer.from("x"), Buffer.from("alien")]] as const
    recovery.replace(newest, () => Buffer.concat([file.begin(header), ...file.add(alien), ...file.end()]))
    recovery.before(`read ${recovery.changelogName} from ${since}`, () => {
      recovery.replace(newest, () => before)
      for (const to of [15, 18]) {
        recovery.commit(to, { d: String(to) })
        recovery.checkpoint()
      }
    })
    expect(recovery.insist()).toEqual({ offset: 18, state: { ...COMMITTED, d: "18" } })
    expect(recovery.warned).toEqual([expect.stringContaining("so it begins again")])
  })

  test("but not for ever: as often as a lane is started again, then the job is given up", () => {
    const recovery = checkpointed()
    recovery.world.faults = { ...NO_FAULTS, fail: 3 }
    const result = recovery.insist()
    expect("error" in result && result.error).toMatchObject({
      failure: "Stop",
      message: expect.stringContaining("events/0 could not be restored 20 times in a row, the last time: cannot list")
    })
    expect(recovery.warned).toHaveLength(19)
  })

  test("and not what a person must mend", () => {
    const recovery = checkpointed()
    recovery.world.disk.files.clear()
    expect(recovery.insist()).toMatchObject({ error: { failure: "Stop" } })
    expect(recovery.warned).toEqual([])
  })
})

test("checkpoints that are gone, beside a changelog that does not begin at 0, stop the job", () => {
  const recovery = checkpointed()
  recovery.world.disk.files.clear()
  expect(refused(recovery).message).toMatch(/begins at \d+, but there is no usable checkpoint/)
})

test("without a checkpoint the whole changelog is read", () => {
  const recovery = new Recovery()
  recovery.commit(5, { a: "1" })
  recovery.commit(9, { a: "2", b: "1" })
  expect(recovery.restore()).toEqual({ offset: 9, state: { a: "2", b: "1" } })
})

test("a partition that nothing was committed for starts at the beginning of its topic", () => {
  expect(new Recovery().restore()).toEqual({ offset: 0, state: {} })
})

test("a missing offset beside a changelog stops the job", () => {
  const recovery = new Recovery()
  recovery.commit(5, { a: "1" }, { offsets: false })
  expect(refused(recovery).message).toMatch(/stands for offset 5 of events\/0, but the group committed none/)
})

test("an offset that is not the changelog's stops the job", () => {
  const recovery = checkpointed()
  recovery.commit(20, { d: "4" }, { changelog: false })
  expect(refused(recovery).message).toMatch(/stands for offset 12 of events\/0, but the group committed 20/)
})

describe("a coordinator that goes back to an older committed offset", () => {
  const forgetful = () => {
    const recovery = new Recovery()
    const { remembered } = recovery.world
    recovery.commit(5, { a: "1" })
    remembered.keep()
    recovery.commit(9, { b: "2" })
    remembered.goBack()
    return recovery
  }

  test("is asked again, and state and offset are those of the newest", () => {
    const recovery = forgetful()
    let asked = 0
    recovery.patienceMs = 1_000
    recovery.before("sleep", () => {
      asked++
      recovery.world.remembered.recall()
    })
    expect(recovery.restore()).toEqual({ offset: 9, state: { a: "1", b: "2" } })
    expect(asked).toBe(1)
  })

  test("is not believed when it stays so: the job stops and says what to do", () => {
    expect(refused(forgetful()).message).toMatch(
      /stands for offset 9 of events\/0, but the group committed 5.*Restart that broker/
    )
  })

  test("whoever stood still meanwhile has not waited, and asks once more", () => {
    const recovery = forgetful()
    recovery.patienceMs = 1_000
    recovery.before("m committed events/0", () => {
      recovery.before("sleep", () => recovery.world.remembered.recall())
      recovery.before(`read ${recovery.changelogName} from beginning`, () => {
        recovery.world.now += 5_000
      })
    })
    expect(recovery.restore()).toEqual({ offset: 9, state: { a: "1", b: "2" } })
  })
})

test("a transaction that moved no offset is waited for until its changelog record can be read", () => {
  const recovery = checkpointed()
  recovery.commit(12, { c: "fired" }, { marked: false })
  expect(refused(recovery).message).toMatch(/decided only up to \d+: a transaction hangs there/)
  recovery.mark()
  expect(recovery.restore()).toEqual({ offset: 12, state: { ...COMMITTED, c: "fired" } })
})

describe("a committed offset that retention took", () => {
  const behind = (): Recovery => {
    const recovery = checkpointed()
    recovery.range = { start: 20, end: 30 }
    return recovery
  }

  test("stops the job, naming what is lost and the setting", () => {
    expect(refused(behind()).message).toMatch(
      /Offsets 12 to 19 of events\/0 were removed .*offsets\.lost to earliest \(from 20\) or latest \(from 30\)/
    )
  })

  test.each([
    ["earliest", 20],
    ["latest", 30]
  ] as const)("is left behind by policy, loudly, with the state as it was: %s", (lost, next) => {
    const recovery = behind()
    expect(recovery.restore(lost)).toEqual({ offset: next, state: COMMITTED })
    expect(recovery.said).toEqual([expect.stringContaining(`Offsets 12 to 19 of events/0 were removed`)])
    expect(recovery.metrics.get("lostOffsets")).toBe(next - 12)
    // The next transaction covers the loss.
    recovery.range = { start: 20, end: 40 }
    recovery.commit(next + 1, { d: "4" })
    expect(recovery.restore(lost)).toEqual({ offset: next + 1, state: { ...COMMITTED, d: "4" } })
    expect(recovery.metrics.get("lostOffsets")).toBe(next - 12)
  })

  test("is none where the log begins at it", () => {
    const recovery = checkpointed()
    recovery.range = { start: 12, end: 12 }
    expect(recovery.restore("latest")).toEqual({ offset: 12, state: COMMITTED })
    expect(recovery.metrics.get("lostOffsets")).toBe(0)
  })

  test("that the log ends before stops the job, whatever the policy", () => {
    const recovery = checkpointed()
    recovery.range = { start: 0, end: 11 }
    expect(refused(recovery, "earliest").message).toMatch(/committed offset 12 of events\/0, but the log ends at 11/)
  })
})

test("a gap in the changelog stops the job, and no checkpoint hides it", () => {
  const recovery = checkpointed()
  recovery.commit(20, { d: "4" }, { changelog: false })
  recovery.commit(25, { e: "5" })
  expect(refused(recovery).message).toMatch(/Record \d+ of .* goes on at source offset 20, but .* ends at 12/)
  const before = recovery.checkpoints()
  expect(() => recovery.checkpoint()).toThrow(/goes on at source offset 20/)
  expect(recovery.checkpoints()).toEqual(before)
})

test("a gap is met by everybody who reads on in a replica, also behind one who has failed at it", () => {
  const recovery = checkpointed()
  recovery.commit(20, { d: "4" }, { changelog: false })
  recovery.commit(25, { e: "5" })
  const found = recovery.readers(2)
  expect(found.map(String)).toEqual([
    expect.stringContaining("goes on at source offset 20"),
    expect.stringContaining("goes on at source offset 20")
  ])
})

test("a delta that is larger than a record may be is split, and restored as one", () => {
  const large = Object.fromEntries(["a", "b", "c", "d", "e"].map(key => [key, key.repeat(400_000)]))
  const recovery = new Recovery()
  recovery.commit(5, large)
  const sizes = recovery.changelog().map(({ record }) => record.value.length)
  expect(sizes.length).toBe(3)
  expect(Math.max(...sizes)).toBeLessThan(1_000_000)
  expect(recovery.restore()).toEqual({ offset: 5, state: large })
  recovery.checkpoint()
  recovery.commit(6, { f: "6" })
  expect(recovery.restore()).toEqual({ offset: 6, state: { ...large, f: "6" } })
})

test("a checkpoint that goes between being listed and being read has made room for newer ones", () => {
  const recovery = checkpointed()
  const [oldest, newest] = recovery.checkpoints()
  recovery.replace(newest!, bytes => bytes.slice(1))
  for (const to of [15, 18]) recovery.commit(to, { d: String(to) })
  recovery.before(`get ${oldest}`, () => {
    recovery.checkpoint({ changesBytes: 1 })
    expect(recovery.checkpoints()).not.toContain(oldest!)
  })
  expect(recovery.restore()).toEqual({ offset: 18, state: { ...COMMITTED, d: "18" } })
})

test("a checkpoint that rotted is none that is retained: the changelog is kept for the one before", () => {
  const recovery = checkpointed()
  const [oldest, rotten] = recovery.checkpoints()
  recovery.replace(rotten!, bytes => bytes.slice(0, -1))
  recovery.checkpoint()
  const newest = recovery.checkpoints().at(-1)!
  expect(recovery.checkpoints()).toEqual([oldest!, rotten!, newest])
  recovery.replace(newest, bytes => bytes.slice(1))
  expect(recovery.restore()).toEqual({ offset: 12, state: COMMITTED })
})

test("nothing is left of a checkpoint that turns out to be damaged while it is put back", () => {
  const recovery = checkpointed()
  const newest = recovery.checkpoints().at(-1)!
  const file = new CheckpointWriter(1)
  const header = { topic: "events", partition: 0, changelogOffset: 4, sourceOffset: 9 }
  const keys = ["x", "y", "z"]
  const entries = keys.map(key => [Buffer.from(key), Buffer.from("alien")] as const)
  const bytes = Buffer.concat([file.begin(header), ...file.add(entries), ...file.end()])
  recovery.replace(newest, () => bytes)
  expect(recovery.restore()).toMatchObject({ state: Object.fromEntries(keys.map(key => [key, "alien"])) })
  // In the last block of entries, which comes in the same piece as the others, or in one of its own.
  recovery.replace(newest, () => bytes.with(bytes.lastIndexOf("alien"), 0))
  for (let i = 0; i < 10; i++) expect(recovery.restore()).toEqual({ offset: 12, state: COMMITTED })
  expect(recovery.said[0]).toContain(`${newest} is damaged: a checksum does not fit`)
})

test("changes that are too many for memory become several checkpoints, one after the other", () => {
  const recovery = new Recovery()
  const state = Object.fromEntries(["a", "b", "c", "d"].map(key => [key, key.repeat(100)]))
  for (const [i, key] of Object.keys(state).entries()) recovery.commit(i + 1, { [key]: state[key]! })
  recovery.checkpoint({ changesBytes: 1 })
  expect(recovery.read).toEqual(["beginning", "1", "3", "5", "7"])
  expect(recovery.checkpoints().length).toBe(2)
  recovery.commit(5, { e: "5" })
  expect(recovery.restore()).toEqual({ offset: 5, state: { ...state, e: "5" } })
})

describe("of large state", () => {
  const INCREMENTAL = { incrementalBytes: 0 }
  const many = (from: number, to: number) =>
    Object.fromEntries(
      Array.from({ length: to - from }, (_, i) => [`key ${from + i}`, `value ${from + i} `.repeat(20)])
    )
  const sizes = (recovery: Recovery) => [...recovery.world.disk.files.values()].map(bytes => bytes.length)

  /** Two full checkpoints, the second one because much had changed, and behind each some of what changed since. */
  const grown = (): Recovery => {
    const recovery = new Recovery()
    let to = 0
    const commit = (values: Record<string, string>) => {
      recovery.commit(++to, values)
      recovery.checkpoint(INCREMENTAL)
    }
    commit(many(0, 100))
    commit({ a: "1" })
    commit({ b: "2" })
    commit(many(100, 300))
    commit({ c: "3" })
    commit({ a: "4", d: "5" })
    return recovery
  }
  const STATE = { ...many(0, 300), a: "4", b: "2", c: "3", d: "5" }

  test("only the changes are written, and a restore finds all of it", () => {
    const recovery = grown()
    expect(recovery.restore()).toEqual({ offset: 6, state: STATE })
    expect(
      sizes(recovery)
        .slice(-2)
        .every(bytes => bytes < 1000)
    ).toBe(true)
    expect(recovery.said).toEqual([])
  })

  test("a full checkpoint that others stand on is kept, and one before it to fall back to", () => {
    const recovery = grown()
    const names = recovery.checkpoints()
    const full = sizes(recovery).filter(bytes => bytes > 1000)
    expect(full.length).toBe(2)
    recovery.replace(names.at(sizes(recovery).indexOf(full[1]!))!, bytes => bytes.slice(0, -1))
    expect(recovery.restore()).toEqual({ offset: 6, state: STATE })
    // Of the three that stood on it, none is of use any more.
    expect(recovery.said.length).toBe(3)
  })

  test("one whose full checkpoint is gone is passed over, loudly", () => {
    const recovery = grown()
    const [, bytes] = [...recovery.world.disk.files].filter(([, one]) => one.length > 1000)
    recovery.world.disk.remove(bytes![0])
    expect(recovery.restore()).toEqual({ offset: 6, state: STATE })
    expect(recovery.said[0]).toContain("which is not there")
  })

  test("nothing is written that stands on what has rotted", () => {
    const recovery = grown()
    recovery.replace(recovery.checkpoints().at(-1)!, bytes => bytes.slice(0, -1))
    recovery.commit(7, { e: "6" })
    recovery.checkpoint(INCREMENTAL)
    expect(recovery.restore()).toEqual({ offset: 7, state: { ...STATE, e: "6" } })
  })

  test("changes are not piled up without end: a full checkpoint comes, and what it replaces goes", () => {
    const recovery = grown()
    for (let to = 7; to < 40; to++) {
      recovery.commit(to, { a: String(to) })
      recovery.checkpoint(INCREMENTAL)
    }
    expect(recovery.restore()).toEqual({ offset: 39, state: { ...STATE, a: "39" } })
    expect(sizes(recovery).filter(bytes => bytes > 1000).length).toBeLessThanOrEqual(3)
    expect(recovery.checkpoints().length).toBeLessThan(25)
  })
})
