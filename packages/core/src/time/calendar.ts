/** Days, weeks and months as a time zone has them. */
export type CalendarUnit = "day" | "week" | "month"

/** The units of a calendar, numbered in the order of time. Times are in ms since 1970, in UTC. */
export interface Calendar {
  /** The unit that holds a time. */
  readonly unitOf: (timestamp: number) => number
  /** The first ms of a unit. */
  readonly startOf: (unit: number) => number
}

const DAY = 86_400_000
/** The Monday before 1970-01-01, as a day. */
const FIRST_MONDAY = -3

/**
 * The calendar of an IANA time zone, by what `Intl` knows of it: a day lasts 23 or 25 hours where clocks change, and one that
 * a zone left out lasts none. Weeks begin on Monday. Throws RangeError for a zone that is not known.
 */
export const calendarOf = (unit: CalendarUnit, timeZone: string): Calendar => {
  const startOfDay = daysOf(timeZone)
  const starts = new Map<number, number>()
  const startOf = (number: number): number => {
    const known = starts.get(number)
    if (known !== undefined) return known
    // Windows come and go in the order of time: what is long past is not asked for any more.
    if (starts.size > 1_000) starts.clear()
    const start = startOfDay(firstDay(unit, number))
    starts.set(number, start)
    return start
  }
  let [last, from, to] = [0, 0, 0]
  const unitOf = (timestamp: number): number => {
    if (timestamp >= from && timestamp < to) return last
    let number = unitOfDay(unit, Math.floor(timestamp / DAY))
    while (startOf(number) > timestamp) number--
    while (startOf(number + 1) <= timestamp) number++
    ;[last, from, to] = [number, startOf(number), startOf(number + 1)]
    return number
  }
  return { unitOf, startOf }
}

const unitOfDay = (unit: CalendarUnit, day: number): number => {
  if (unit === "day") return day
  if (unit === "week") return Math.floor((day - FIRST_MONDAY) / 7)
  const date = new Date(day * DAY)
  return date.getUTCFullYear() * 12 + date.getUTCMonth()
}

const firstDay = (unit: CalendarUnit, number: number): number => {
  if (unit === "day") return number
  if (unit === "week") return number * 7 + FIRST_MONDAY
  // Not Date.UTC: it takes the years 0 to 99 for those of the twentieth century.
  return new Date(0).setUTCFullYear(Math.floor(number / 12), ((number % 12) + 12) % 12, 1) / DAY
}

/** Half of the span around a day's midnight in UTC in which it begins anywhere. */
const AROUND = 48 * 3_600_000
const PROBE = 6 * 3_600_000

/** When a day of the zone begins: with its first midnight, and where clocks leave that out with the time that they go on to. */
const daysOf = (timeZone: string): ((day: number) => number) => {
  const local = localTime(timeZone)
  return day => {
    const midnight = day * DAY
    let first = Number.POSITIVE_INFINITY
    for (let at = midnight - AROUND; at <= midnight + AROUND; at += PROBE) {
      const candidate = midnight - (local(at) - at)
      if (candidate < first && local(candidate) === midnight) first = candidate
    }
    if (first < Number.POSITIVE_INFINITY) return first
    let [before, after] = [midnight - AROUND, midnight + AROUND]
    while (after - before > 1) {
      const middle = Math.floor((before + after) / 2)
      if (local(middle) < midnight) before = middle
      else after = middle
    }
    return after
  }
}

/** What clocks show at a time, as the time at which they would show it in UTC. */
const localTime = (timeZone: string): ((timestamp: number) => number) => {
  const format = new Intl.DateTimeFormat("en-US-u-ca-iso8601", {
    timeZone,
    hourCycle: "h23",
    year: "numeric",
    month: "numeric",
    day: "numeric",
    hour: "numeric",
    minute: "numeric",
    second: "numeric"
  })
  return timestamp => {
    const shown = new Map(format.formatToParts(timestamp).map(({ type, value }) => [type, Number(value)]))
    const part = (type: Intl.DateTimeFormatPartTypes): number => shown.get(type)!
    const days = new Date(0).setUTCFullYear(part("year"), part("month") - 1, part("day"))
    const seconds = (part("hour") * 60 + part("minute")) * 60 + part("second")
    return days + seconds * 1000 + (((timestamp % 1000) + 1000) % 1000)
  }
}
