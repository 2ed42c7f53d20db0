import type { Input, RecordDecoder } from "@headrace/core"

type Extended = Record<string, unknown>

/** One stream, several readers, in the plan's order. */
export class FanOut implements Input {
  private readonly inputs: readonly Input[]
  constructor(inputs: readonly Input[]) {
    this.inputs = inputs
  }
  next(record: object, timestamp: number): void {
    for (let i = 0; i < this.inputs.length; i++) this.inputs[i]!.next(record, timestamp)
  }
  watermark(watermark: number): void {
    for (const input of this.inputs) input.watermark(watermark)
  }
}

/** A place in the chain that is filled in later. */
export class Deferred implements Input {
  input: Input | undefined
  next(record: object, timestamp: number): void {
    this.input!.next(record, timestamp)
  }
  watermark(watermark: number): void {
    this.input!.watermark(watermark)
  }
}

/** Makes a plain object of the view and of the fields that were added to it. */
export class Materialise implements Input {
  private readonly decoder: RecordDecoder
  private readonly names: readonly string[]
  private readonly downstream: Input
  constructor(decoder: RecordDecoder, names: readonly string[], downstream: Input) {
    this.decoder = decoder
    this.names = names
    this.downstream = downstream
  }
  next(record: object, timestamp: number): void {
    const plain = this.decoder.materialise() as Extended
    for (const name of this.names) plain[name] = (record as Extended)[name]
    this.downstream.next(plain, timestamp)
  }
  watermark(watermark: number): void {
    this.downstream.watermark(watermark)
  }
}

type Field = (record: object) => unknown

/** Adds fields to a view: they stand beside its getters in one reusable object. */
export class ExtendView implements Input {
  private readonly extended: Extended
  private readonly earlier: readonly string[]
  private readonly names: readonly string[]
  private readonly fields: readonly Field[]
  private readonly downstream: Input
  constructor(
    extended: Extended,
    earlier: readonly string[],
    names: readonly string[],
    fields: readonly Field[],
    downstream: Input
  ) {
    this.extended = extended
    this.earlier = earlier
    this.names = names
    this.fields = fields
    this.downstream = downstream
  }
  next(record: object, timestamp: number): void {
    const { extended, earlier, names, fields } = this
    for (let i = 0; i < earlier.length; i++) extended[earlier[i]!] = (record as Extended)[earlier[i]!]
    for (let i = 0; i < names.length; i++) extended[names[i]!] = fields[i]!(record)
    this.downstream.next(extended, timestamp)
  }
  watermark(watermark: number): void {
    this.downstream.watermark(watermark)
  }
}

/** Adds fields to a plain object, by a copy: somebody else may hold the original. */
export class ExtendObject implements Input {
  private readonly names: readonly string[]
  private readonly fields: readonly Field[]
  private readonly downstream: Input
  constructor(names: readonly string[], fields: readonly Field[], downstream: Input) {
    this.names = names
    this.fields = fields
    this.downstream = downstream
  }
  next(record: object, timestamp: number): void {
    const extended: Extended = { ...record }
    for (let i = 0; i < this.names.length; i++) extended[this.names[i]!] = this.fields[i]!(record)
    this.downstream.next(extended, timestamp)
  }
  watermark(watermark: number): void {
    this.downstream.watermark(watermark)
  }
}
