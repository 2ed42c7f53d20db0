import { addSize, drainAll, noState, SpillError, type Spilling, type SpillStore, type StateSize } from "@headrace/core"
import { LogError } from "../ports/log.ts"

export interface StateMemoryOptions {
  /** What all state of a lane may take in memory. */
  readonly boundBytes: number
  /** Entries that leave memory behind one batch at least. */
  readonly drainedAtOnce: number
  /** Makes an empty store. */
  readonly open: () => SpillStore
  /** What becomes of a lane whose disk is full: "wait" ends it so that it starts again later, "stop" ends the job. */
  readonly onFull: "wait" | "stop"
}

/** Bytes of entries that are restored before memory is looked at again. */
const RESTORED_AT_ONCE = 1 << 18

/**
 * Keeps the state of a lane's partitions within its bound. Half of it is for what was used lately: beyond that, all
 * state grows old at the end of a transaction, and what is not used again leaves for the disk while batches go by, twice
 * as fast as they bring new entries. Beyond the bound the transaction ends at once, and the lane waits for what is old to
 * leave: what the polls that were under way touch may come on top, and no more.
 */
export class StateMemory {
  private readonly options: StateMemoryOptions
  private readonly residents = new Set<Resident>()
  /** More is in memory than may be: nothing is to come before what is touched has been committed, and can leave. */
  overfull = false
  /** Something may be old: `relieve` gets on with it. */
  draining = false
  /** Keys that were in memory at the last look. */
  private heldBefore = 0

  constructor(options: StateMemoryOptions) {
    this.options = options
  }

  get boundBytes(): number {
    return this.options.boundBytes
  }

  /** State of a partition comes into memory; its resident has to `leave`. */
  admit(state: Spilling): Resident {
    const resident = new Resident(this, state)
    this.residents.add(resident)
    return resident
  }

  /** All state is clean: a transaction has been sealed, and no record has come since. */
  sealed(): void {
    if (!this.draining && this.exceeded) for (const resident of this.residents) this.age(resident)
    this.relieve()
  }

  /** Behind a batch; again and again while nothing is polled for want of memory. */
  relieve(): void {
    if (this.draining) this.drain(Math.max(this.options.drainedAtOnce, 2 * (heldOf(this.size()) - this.heldBefore)))
    // What left are cells and elements, of which a key may have had many, or none in memory any more.
    const size = this.size()
    this.heldBefore = heldOf(size)
    this.overfull = size.bytes > this.boundBytes
  }

  /** Entries of one partition were restored: its state is clean at any time. */
  restored(resident: Resident): void {
    if (!this.draining && this.exceeded) this.age(resident)
    this.relieve()
  }

  size(): StateSize {
    const sum = noState()
    for (const { state } of this.residents) addSize(sum, state.size())
    return sum
  }

  /** A full disk is no fault of the pipeline's: what is thrown instead says what becomes of the lane. */
  guard<A>(run: () => A): A {
    try {
      return run()
    } catch (error) {
      throw error instanceof SpillError ? this.full(error) : error
    }
  }

  full(error: SpillError): LogError {
    return new LogError(this.options.onFull === "stop" ? "Stop" : "Gone", error.message, { cause: error })
  }

  forget(resident: Resident): void {
    this.residents.delete(resident)
    resident.store?.close()
  }

  /** Gives back all files. */
  close(): void {
    for (const resident of [...this.residents]) this.forget(resident)
  }

  private get exceeded(): boolean {
    return this.size().bytes > this.boundBytes / 2
  }

  private drain(limit: number): void {
    const drained = this.guard(() =>
      drainAll(
        Array.from(this.residents, ({ state }) => state),
        limit
      )
    )
    this.draining = drained >= limit
  }

  private age(resident: Resident): void {
    this.draining = true
    this.guard(() => {
      resident.store ??= this.options.open()
      resident.state.age(resident.store)
    })
  }
}

/** Keys that are in memory. */
const heldOf = ({ keys, spilledKeys }: StateSize): number => keys - spilledKeys

/** The state of one partition, as far as memory goes. */
export class Resident {
  readonly state: Spilling
  /** Made when something has to leave memory for the first time. */
  store: SpillStore | undefined
  private readonly memory: StateMemory
  private restoredBytes = 0

  constructor(memory: StateMemory, state: Spilling) {
    this.memory = memory
    this.state = state
  }

  /** Entries of so many bytes were restored, and nothing else was done to the state. */
  restored(bytes: number): void {
    this.restoredBytes += bytes
    if (this.restoredBytes < RESTORED_AT_ONCE) return
    this.restoredBytes = 0
    this.memory.restored(this)
  }

  /** The state is given up. */
  leave(): void {
    this.memory.forget(this)
  }
}
