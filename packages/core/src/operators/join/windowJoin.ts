import type { Key } from "../../key.ts"
import type { Input } from "../../operator.ts"
import { type EventTimeOptions, LateEvents } from "../eventTime.ts"
import type { WindowAssigner } from "../window/assigner.ts"
import { Elements, type ElementsOptions, type Finish } from "../window/elements.ts"
import type { Element, Evictor } from "../window/evictor.ts"
import { KeyedWindow } from "../window/keyedWindow.ts"
import type { Trigger } from "../window/trigger.ts"
import type { JoinType } from "./intervalJoin.ts"
import { Revision, revisedGroup, revisedPairs } from "./revision.ts"
import { type Sided, sidedCodec, sideOf } from "./sided.ts"
import { type JoinSide, type Side, type TwoInputs, twoInputs } from "./sides.ts"

/** What a `WindowJoin` is made of, by the plan. */
export interface WindowJoinOptions extends EventTimeOptions {
  readonly left: JoinSide
  readonly right: JoinSide
  readonly assigner: WindowAssigner
  readonly trigger: Trigger
  /** Looks at the events of both sides together. */
  readonly evictor?: Evictor | undefined
  readonly allowedLatenessMs: number
  readonly pairing: Pairing
  /** What no longer holds when it fires again is taken back, as changes, and what still holds is not repeated. */
  readonly retracts?: boolean
}

/** What becomes of the two sides of a window: each pair, or all of them together. */
export type Pairing =
  | { readonly kind: "join"; readonly type: JoinType; readonly combine: Combine }
  | { readonly kind: "coGroup"; readonly combine: Combine }

/** Of one pair, or of the lists of both sides. */
type Combine = (left: never, right: never, key: never) => object

/**
 * Brings together what two streams have in the same window and key, by Flink's rules: both share the windows, and sessions
 * merge over both. Each pair, or one record made of both lists, is given out at every firing, at the window's last ms;
 * where it retracts, changes to what earlier firings have given out.
 */
export class WindowJoin extends KeyedWindow implements TwoInputs {
  readonly left: Input
  readonly right: Input
  /** What came too late, each by its side. */
  readonly lates: Readonly<Record<Side, LateEvents>>

  constructor(options: WindowJoinOptions) {
    const { id, left, right, assigner, trigger, evictor, pairing } = options
    const retracts = options.retracts === true
    const codec = sidedCodec(left, right)
    const elements = {
      id,
      take: (record: object) => record,
      codec,
      shape: codec.shape,
      evictor: evictor && evictorOfSided(evictor),
      ...(retracts ? revising(pairing) : { finish: finishing(pairing) })
    }
    super({
      ...options,
      assigner: ofSided(assigner),
      trigger: triggerOfSided(trigger),
      contents: new Elements(elements),
      what: `${pairing.kind === "join" ? `${pairing.type} join` : "co-group"}${retracts ? ", taken back when replaced" : ""}`,
      key: left.key,
      late: undefined
    })
    this.lates = { left: new LateEvents(left.late), right: new LateEvents(right.late) }
    const inputs = twoInputs(left, right, {
      take: (side, key, record, timestamp) => this.take(key, { side, record } satisfies Sided, timestamp),
      advance: watermark => this.advance(watermark)
    })
    this.left = inputs.left
    this.right = inputs.right
  }

  protected override tooLate(event: object, timestamp: number): void {
    const { side, record } = event as Sided
    this.lates[side].take(record, timestamp)
  }
}

const ofSided = (assigner: WindowAssigner): WindowAssigner => {
  if (assigner.kind !== "session" || typeof assigner.gapMs === "number") return assigner
  const gap = assigner.gapMs as (record: object) => number
  return { kind: "session", gapMs: ({ record }: Sided) => gap(record) }
}

const triggerOfSided = (trigger: Trigger): Trigger => ({
  name: trigger.name,
  onElement: (window, timestamp, event: Sided) => trigger.onElement(window, timestamp, event.record as never),
  onTime: (window, time) => trigger.onTime(window, time),
  onMerge: (window, from) => trigger.onMerge(window, from)
})

const evictorOfSided = (evictor: Evictor): Evictor => ({
  name: evictor.name,
  keep: <E extends Element>(elements: readonly E[]) =>
    evictor
      .keep(elements.map(element => ({ ...element, record: (element.record as Sided).record, element })))
      .map(({ element }) => element)
})

const finishing = (pairing: Pairing): Finish => (pairing.kind === "join" ? pairs(pairing) : group(pairing.combine))

const pairs = ({ type, combine }: Extract<Pairing, { kind: "join" }>): Finish => {
  const made = combine as (left: object | undefined, right: object | undefined, key: unknown) => object
  return (key, _window, elements, emit) => {
    const left = sideOf(elements, "left")
    const right = sideOf(elements, "right")
    for (const one of left) for (const other of right) emit(made(one, other, key))
    if (right.length === 0 && (type === "left" || type === "full"))
      for (const one of left) emit(made(one, undefined, key))
    if (left.length === 0 && (type === "right" || type === "full"))
      for (const one of right) emit(made(undefined, one, key))
  }
}

const group = (combine: Combine): Finish => {
  const made = combine as unknown as (left: readonly object[], right: readonly object[], key: Key) => object
  return (key, _window, elements, emit) => emit(made(sideOf(elements, "left"), sideOf(elements, "right"), key))
}

const revising = (pairing: Pairing): Pick<ElementsOptions, "finish" | "withdraw"> => {
  const combine = pairing.combine as never
  const revision = new Revision(pairing.kind === "join" ? revisedPairs(pairing.type, combine) : revisedGroup(combine))
  return {
    finish: (...firing) => revision.fire(...firing),
    withdraw: (key, window, emit, before) => revision.fire(key, window, [], emit, before)
  }
}
