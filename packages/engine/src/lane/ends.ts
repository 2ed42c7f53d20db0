import { Effect } from "effect"
import type { Position, Source, TopicPartition } from "../ports/log.ts"
import type { Lane } from "./lane.ts"
import { nameOf } from "./tasks.ts"

/** Between two looks: what is behind may be so for this much longer before it is seen. */
const INTERVAL = "5 seconds"

export interface EndsParts {
  readonly lane: Pick<Lane, "positions">
  readonly source: Pick<Source, "knownEnd" | "ends">
}

/**
 * Where a lane's partitions end. The client knows as of its last fetch; so one that fetches nothing any more would seem to have
 * nothing to read while its topic grows. Of partitions that stand still for some seconds the brokers are asked.
 */
export class Ends {
  private readonly lane: EndsParts["lane"]
  private readonly source: EndsParts["source"]
  /** As of the last look, of those that stood still before it. */
  private asked: ReadonlyMap<string, number> = new Map()
  private before: readonly Position[] = []

  constructor({ lane, source }: EndsParts) {
    this.lane = lane
    this.source = source
  }

  /** The end of everything, as far as is known without a request. */
  knownEnd(partition: TopicPartition): number | undefined {
    const known = this.source.knownEnd(partition)
    const asked = this.asked.get(nameOf(partition))
    return known === undefined || asked === undefined ? (known ?? asked) : Math.max(known, asked)
  }

  /** Looks for ever. Where nobody answers, what was known still holds. */
  get watch(): Effect.Effect<never> {
    return this.look.pipe(
      Effect.catch(error => Effect.logDebug(`ends: ${error.message}`)),
      Effect.andThen(Effect.sleep(INTERVAL)),
      Effect.forever
    )
  }

  private readonly look = Effect.gen({ self: this }, function* () {
    const positions = this.lane.positions()
    const still = positions.filter(one => stoodAt(this.before, one))
    this.before = positions
    const ends = still.length === 0 ? [] : yield* this.source.ends(still)
    this.asked = new Map(still.map((one, i) => [nameOf(one), ends[i]!]))
  })
}

const stoodAt = (before: readonly Position[], { topic, partition, offset }: Position): boolean =>
  before.some(one => one.topic === topic && one.partition === partition && one.offset === offset)
