import type { ValueCodec } from "../codec.ts"
import { NO_WATERMARK } from "../operator.ts"
import { NotedState } from "../state/noted.ts"
import { OperatorState } from "../state/operator.ts"
import { stageDefinition } from "../state/schema.ts"
import { ValueState } from "../state/value.ts"
import type { TimeOutput } from "./output.ts"
import { TIME_BYTES, timeCodec } from "./sourceClock.ts"
import { type InputTime, WatermarkValve } from "./valve.ts"

/** What has been handed on, and how far each input has come. */
interface Times {
  readonly watermark: number
  readonly inputs: readonly StageInput[]
}

interface StageInput extends InputTime {
  /** The last halt that it said; undefined while there was none. */
  readonly halt: number | undefined
}

const INPUT_BYTES = TIME_BYTES + 1
const ACTIVE = 1
const ALIGNED = 2
const HALTED = 4

const timesCodec: ValueCodec<Times> = {
  write: ({ watermark, inputs }, out) => {
    timeCodec.write(watermark, out)
    for (const input of inputs) {
      timeCodec.write(input.watermark, out)
      out.u8((input.active ? ACTIVE : 0) | (input.aligned ? ALIGNED : 0) | (input.halt === undefined ? 0 : HALTED))
      if (input.halt !== undefined) out.f64(input.halt)
    }
  },
  read: (bytes, start, end) => {
    const timeAt = (at: number) => timeCodec.read(bytes, at, at + TIME_BYTES)
    const inputs: StageInput[] = []
    for (let at = start + TIME_BYTES; at < end; ) {
      const watermark = timeAt(at)
      const flags = bytes[at + TIME_BYTES]!
      at += INPUT_BYTES
      const halt = (flags & HALTED) === 0 ? undefined : timeAt(at)
      if (halt !== undefined) at += TIME_BYTES
      inputs.push({ watermark, active: (flags & ACTIVE) !== 0, aligned: (flags & ALIGNED) !== 0, halt })
    }
    return { watermark: timeAt(start), inputs }
  }
}

/**
 * Event time where one stage's records come in from the partitions of the stage before: a `WatermarkValve` that is state,
 * so that a restart neither goes back in time nor forgets who is idle.
 */
export class StageClock extends NotedState {
  readonly id: string
  readonly operator: number
  private readonly valve: WatermarkValve
  private readonly inputs: number
  private readonly value: ValueState<Times>
  protected readonly state: OperatorState
  private halts: (number | undefined)[] = []
  private moved = false

  /** `inputs`: partitions of the stage before. */
  constructor(id: string, inputs: number, output: TimeOutput) {
    super()
    this.id = id
    this.inputs = inputs
    this.valve = new WatermarkValve(inputs, output)
    this.value = new ValueState(id, 1, timesCodec, { watermark: NO_WATERMARK, inputs: [] })
    this.state = new OperatorState(stageDefinition(id), [this.value])
    this.operator = this.state.operator
  }

  /** What was handed on last. */
  get watermark(): number {
    return this.valve.watermark
  }

  /** All inputs are idle. */
  get idle(): boolean {
    return this.valve.inputs.every(({ active }) => !active)
  }

  /** An input is at this time: whoever says so is not idle. */
  advance(input: number, watermark: number): void {
    this.moved = true
    this.valve.active(input)
    this.valve.advance(input, watermark)
  }

  /** Nothing comes from an input for the time being: the others do not wait for it. */
  rest(input: number): void {
    this.moved = true
    this.valve.idle(input)
  }

  /** Nothing comes from an input any more before the job goes on from the savepoint, or the restart, of this number. */
  halt(input: number, number: number): void {
    this.moved = true
    this.halts[input] = number
  }

  /** All inputs have said so. */
  halted(number: number): boolean {
    for (let input = 0; input < this.inputs; input++) if (this.halts[input] !== number) return false
    return true
  }

  /** Of another number of inputs it is only known that none is behind what was handed on. */
  private anew(watermark: number): readonly StageInput[] {
    return Array.from({ length: this.inputs }, () => ({ watermark, active: true, aligned: true, halt: undefined }))
  }

  /** Inputs move with each transaction of theirs, so the value only follows when it is written. */
  protected note(): void {
    if (!this.moved) return
    this.moved = false
    const { watermark, inputs } = this.valve
    this.value.set({ watermark, inputs: inputs.map((input, i) => ({ ...input, halt: this.halts[i] })) })
  }

  protected recall(): void {
    const { watermark, inputs } = this.value.get()
    const known = inputs.length === this.inputs ? inputs : this.anew(watermark)
    this.valve.restore(
      watermark,
      known.map(({ watermark, active, aligned }) => ({ watermark, active, aligned }))
    )
    this.halts = known.map(({ halt }) => halt)
  }
}
