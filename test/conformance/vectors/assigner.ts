import { Window } from "headrace"
import type { Event } from "./events.ts"

export interface AssignerSpec {
  readonly type: string
  readonly size: number
  readonly slide: number
  readonly step: number
  readonly offset: number
  readonly gap: number
}

type Options = Omit<Parameters<typeof Window.tumbling>[1] & object, "offset">

/** The windows that a case describes; undefined if there are none like that. */
export const windowing = (spec: AssignerSpec, options: Options): ReturnType<typeof Window.session<Event>> | undefined => {
  const { type, size, slide, step, offset, gap } = spec
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
      return options.trigger && Window.global({ ...options, trigger: options.trigger })
    default:
      return undefined
  }
}
