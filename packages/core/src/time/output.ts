/** Where combined event time goes. */
export interface TimeOutput {
  /** Monotonous. */
  readonly watermark: (watermark: number) => void
  /** All inputs are idle: who waits for several such streams is not to wait for this one. */
  readonly idle: () => void
  /** Some input is active again. */
  readonly active: () => void
}
