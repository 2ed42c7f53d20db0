/** `factor` times the base rate for the last `lastsMs` of every `everyMs`. The mean stays the rate asked for. */
export interface Burst {
  readonly everyMs: number
  readonly lastsMs: number
  readonly factor: number
}

/** When each event of a run is meant to be sent. Pure: it knows neither a clock nor the system under load. */
export interface Schedule {
  /** How many events the run has. */
  readonly total: number
  /** The intended send time of event `n` (0 …), ms after the start. Grows with n. */
  readonly intendedMs: (n: number) => number
}

/** `rate` events a second for `forMs`, evenly spaced or with bursts. */
export const makeSchedule = (rate: number, forMs: number, burst?: Burst): Schedule => ({
  total: Math.round((rate * forMs) / 1000),
  intendedMs: burst === undefined ? evenly(rate / 1000) : inBursts(rate / 1000, burst)
})

const evenly = (perMs: number) => (n: number) => n / perMs

const inBursts = (perMs: number, { everyMs, lastsMs, factor }: Burst) => {
  const calmMs = everyMs - lastsMs
  const perPeriod = perMs * everyMs
  const calmPerMs = perPeriod / (calmMs + factor * lastsMs)
  const calmEvents = calmPerMs * calmMs
  const burstPerMs = calmPerMs * factor
  return (n: number): number => {
    const period = Math.floor(n / perPeriod)
    const within = n - period * perPeriod
    const offset = within < calmEvents ? within / calmPerMs : calmMs + (within - calmEvents) / burstPerMs
    return period * everyMs + offset
  }
}
