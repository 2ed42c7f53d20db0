import { isOptional, type Step } from "./spec.ts"

/** A step where it stands: among its neighbours, and in its group. */
export interface Place {
  readonly step: Step
  /** The steps before it, the nearest last. */
  readonly before: readonly Step[]
  /** The step behind it; of the last one in a group that behind the group. */
  readonly behind: Step | undefined
  readonly group: Group | undefined
  /** It stands for the events, or rounds, behind the first one. */
  readonly later?: boolean
}

export interface Group {
  readonly step: Step
  /** Later rounds of a group follow as the events of one step do. */
  readonly firstRound: boolean
}

/** The first step of a group follows as its group does. */
export const isHead = ({ group, before }: Place): boolean => group !== undefined && before.length === 0

/** Its group has a way around itself, from its first event on. */
export const leadsAround = (place: Place): boolean =>
  isHead(place) && place.group!.firstRound && isOptional(place.group!.step)

export const later = (place: Place): Place => ({ ...place, later: true })
