import { never } from "@headrace/core"
import { Evictor, Trigger, Window } from "headrace"
import type { Event } from "./events.ts"

/** Windows as a case describes them. */
export interface WindowSpec {
  readonly assigner: {
    readonly type: string
    readonly size: number
    readonly slide: number
    readonly step: number
    readonly offset: number
    readonly gap: number
  }
  readonly trigger?: null | TriggerSpec
  readonly evictor?: { readonly type: string; readonly n: number }
  readonly allowedLateness: number
}

interface TriggerSpec {
  readonly type: string
  readonly n: number
  readonly interval: number
  readonly purge?: boolean
}

type Windowing = ReturnType<typeof Window.session<Event>>

/** Throws where there are none like that. */
export const windowing = ({ assigner, trigger: fires, evictor: keeps, allowedLateness }: WindowSpec): Windowing => {
  const trigger = fires == null ? undefined : triggerOf(fires)
  const evictor = keeps && evictorOf(keeps)
  const options = { allowedLateness, ...(trigger && { trigger }), ...(evictor && { evictor }) }
  const { type, size, slide, step, offset, gap } = assigner
  switch (type) {
    case "tumbling":
      return Window.tumbling(size, { ...options, offset })
    case "sliding":
      return Window.sliding(size, slide, { ...options, offset })
    case "cumulate":
      return Window.cumulative(size, step, { ...options, offset })
    case "session":
      return Window.session(gap, options)
    case "session-dynamic":
      return Window.session((event: Event) => event.gap!, options)
    case "global":
      // Without a trigger of its own it never fires, as with the default of Flink's.
      return Window.global({ ...options, trigger: trigger ?? never })
    default:
      throw new Error(`There is no window ${type}`)
  }
}

const triggerOf = (spec: TriggerSpec): Trigger.Trigger => {
  const trigger = plainTrigger(spec)
  return spec.purge === true ? Trigger.purging(trigger) : trigger
}

const plainTrigger = ({ type, n, interval }: TriggerSpec): Trigger.Trigger => {
  switch (type) {
    case "count":
      return Trigger.count(n)
    case "continuous-event-time":
      return Trigger.every(interval)
    case "end-of-stream":
      return Trigger.endOfStream
    case "event-time":
      return Trigger.eventTime
    default:
      throw new Error(`There is no trigger ${type}`)
  }
}

const evictorOf = ({ type, n }: NonNullable<WindowSpec["evictor"]>): Evictor.Evictor => {
  if (type !== "count") throw new Error(`There is no evictor ${type}`)
  return Evictor.last(n)
}
