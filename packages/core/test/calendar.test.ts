import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { type CalendarUnit, calendarOf } from "../src/time/calendar.ts"

const HOUR = 3_600_000
const at = (text: string): number => new Date(text).getTime()
/** The unit that holds a time: its start, and how many hours it has. */
const around = (unit: CalendarUnit, timeZone: string, time: string) => {
  const { unitOf, startOf } = calendarOf(unit, timeZone)
  const number = unitOf(at(time))
  return [new Date(startOf(number)).toISOString(), (startOf(number + 1) - startOf(number)) / HOUR]
}

describe("calendars", () => {
  // From the zones' own rules.
  test.each<readonly [CalendarUnit, string, string, string, number]>([
    ["day", "UTC", "2026-03-29T12:00Z", "2026-03-29T00:00:00.000Z", 24],
    ["day", "Europe/Berlin", "2026-03-29T12:00Z", "2026-03-28T23:00:00.000Z", 23],
    ["day", "Europe/Berlin", "2026-10-25T12:00Z", "2026-10-24T22:00:00.000Z", 25],
    ["day", "Europe/Berlin", "2026-10-25T22:59:59.999Z", "2026-10-24T22:00:00.000Z", 25],
    ["day", "Europe/Berlin", "2026-10-25T23:00Z", "2026-10-25T23:00:00.000Z", 24],
    ["day", "America/New_York", "2026-03-08T20:00Z", "2026-03-08T05:00:00.000Z", 23],
    ["day", "America/New_York", "2026-11-01T20:00Z", "2026-11-01T04:00:00.000Z", 25],
    // Clocks change by half an hour.
    ["day", "Australia/Lord_Howe", "2026-04-05T00:00Z", "2026-04-04T13:00:00.000Z", 24.5],
    ["day", "Asia/Kathmandu", "2026-01-01T12:00Z", "2025-12-31T18:15:00.000Z", 24],
    // There was no midnight: clocks went from 23:59:59 to 1:00.
    ["day", "America/Sao_Paulo", "2018-11-04T12:00Z", "2018-11-04T03:00:00.000Z", 23],
    // Clocks went back from midnight to 23:00: the day before has both of its last hours.
    ["day", "America/Sao_Paulo", "2018-02-17T12:00Z", "2018-02-17T02:00:00.000Z", 25],
    // A minute after midnight clocks went back to the day before: the day had begun.
    ["day", "America/St_Johns", "2010-11-07T12:00Z", "2010-11-07T02:30:00.000Z", 25],
    ["day", "America/St_Johns", "2010-11-07T02:45Z", "2010-11-07T02:30:00.000Z", 25],
    // Samoa left out the 30th of December.
    ["day", "Pacific/Apia", "2011-12-30T09:59Z", "2011-12-29T10:00:00.000Z", 24],
    ["day", "Pacific/Apia", "2011-12-30T10:00Z", "2011-12-30T10:00:00.000Z", 24],
    ["week", "Europe/Berlin", "2026-03-25T12:00Z", "2026-03-22T23:00:00.000Z", 167],
    ["week", "UTC", "1970-01-01T00:00Z", "1969-12-29T00:00:00.000Z", 168],
    ["month", "Europe/Berlin", "2026-03-15T12:00Z", "2026-02-28T23:00:00.000Z", 743],
    ["month", "America/New_York", "2024-02-29T12:00Z", "2024-02-01T05:00:00.000Z", 696],
    ["month", "UTC", "1969-12-31T23:59Z", "1969-12-01T00:00:00.000Z", 744]
  ])("the %s in %s at %s", (unit, timeZone, time, start, hours) => {
    expect(around(unit, timeZone, time)).toEqual([start, hours])
  })

  const zones = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/Sao_Paulo",
    "Asia/Tehran",
    "Pacific/Apia"
  ]
  const anyTime = fc.integer({ min: at("1970-01-10T00:00Z"), max: at("2037-12-01T00:00Z") })

  test("hold each time in one unit, whose days clocks show as such", () => {
    const shown = new Map(
      zones.map(zone => [zone, new Intl.DateTimeFormat("sv-SE", { timeZone: zone, dateStyle: "short" })] as const)
    )
    fc.assert(
      fc.property(fc.constantFrom(...zones), fc.constantFrom("day", "week", "month"), anyTime, (zone, unit, time) => {
        const calendar = calendarOf(unit, zone)
        const number = calendar.unitOf(time)
        const [start, end] = [calendar.startOf(number), calendar.startOf(number + 1)]
        expect(start <= time && time < end).toBe(true)
        expect([calendar.unitOf(start), calendar.unitOf(end - 1), calendar.unitOf(end) > number]).toEqual([
          number,
          number,
          true
        ])
        const date = shown.get(zone)!
        const [first, last] = [date.format(start), date.format(end - 1)]
        if (unit === "day") expect([first, last]).toEqual([date.format(time), date.format(time)])
        if (unit === "month")
          expect([first.slice(0, 7), last.slice(0, 7)]).toEqual([
            date.format(time).slice(0, 7),
            date.format(time).slice(0, 7)
          ])
        if (unit === "month") expect(first.slice(8)).toBe("01")
        if (unit === "week") expect(new Date(`${first}T00:00Z`).getUTCDay()).toBe(1)
        expect(date.format(start - 1)).not.toBe(first)
      }),
      { numRuns: 400 }
    )
  })

  test("do not depend on what was asked before", () => {
    fc.assert(
      fc.property(fc.constantFrom(...zones), fc.array(anyTime, { minLength: 1, maxLength: 8 }), (zone, times) => {
        const one = calendarOf("day", zone)
        expect(times.map(time => one.unitOf(time))).toEqual(times.map(time => calendarOf("day", zone).unitOf(time)))
      }),
      { numRuns: 20 }
    )
  })
})
