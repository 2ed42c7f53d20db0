import type { Draft } from "../draft.ts"
import {
  type BroadcastProcess,
  broadcastDraft,
  type Process,
  processDraft,
  type Sides,
  type States
} from "../process.ts"
import { JoinSteps } from "./joins.ts"
import type { ProcessedStream, Stream } from "./stream.ts"

/** What an unkeyed stream asks for in place of a process step's id. */
export type NotKeyedProcess = "process needs a keyed stream: call keyBy before process"

/** Code of a user's own over the state of each key. */
export abstract class ProcessSteps<out A extends object, out K, out E, out R> extends JoinSteps<A, K, E, R> {
  /**
   * Runs code of your own over state and timers of each key, for what windows do not cover. Its state is found again
   * by the id.
   */
  process<const S extends States, B extends object, const O extends Sides = Readonly<Record<never, never>>>(
    id: [K] extends [never] ? NotKeyedProcess : string,
    process: Process<A, K, S, B, O>
  ): ProcessedStream<B, K, E, R, O> {
    return this.behindProcess(processDraft(this.last, id as string, process), process.sides)
  }

  /**
   * A process step whose keys all see what another stream, such as one of rules, has left in a map. Each of its records goes to
   * every partition, in one order with the records there. It does not hold event time back: a stream that is quiet, or has
   * ended, never does.
   */
  broadcast<
    C extends object,
    E2,
    R2,
    const S extends States,
    B extends object,
    MK extends string | number | bigint,
    MV,
    const O extends Sides = Readonly<Record<never, never>>
  >(
    rules: Stream<C, unknown, E2, R2>,
    id: [K] extends [never] ? NotKeyedProcess : string,
    process: BroadcastProcess<A, K, S, B, O, C, MK, MV>
  ): ProcessedStream<B, K, E | E2, R | R2, O> {
    const last = broadcastDraft(this.last, rules.last, id as string, process)
    return this.behindProcess(last, process.sides)
  }

  /** The stream that ends with this process step, with what it sends to its sides. */
  protected abstract behindProcess<B extends object, K2, E2, R2, O extends Sides>(
    last: Draft,
    sides: O | undefined
  ): ProcessedStream<B, K2, E2, R2, O>
}
