import { API, apiOf, clientOf } from "../net/units.ts"
import { between, type Fault, limited, victimOf } from "./fault.ts"

/** At which request it freezes; none: whenever. */
const MOMENTS = [undefined, API.produce, API.txnOffsetCommit, API.endTxn] as const

/** Stands still for longer than its session, and goes on in the belief that nothing was. */
export const zombie: Fault = {
  name: "SIGSTOP past the session, SIGCONT",
  group: "zombie",
  where: "kafka",
  inject: async scene => {
    const { world, random } = scene
    const victim = victimOf(scene)
    const moment = MOMENTS[random.below(MOMENTS.length)]
    // Three brokers stand behind no proxy that could see it.
    const api = world.options.brokers === 1 ? moment : undefined
    const extra = between(random, 500, 2500)
    const isMoment = (one: Buffer) => apiOf(one) === api && victim.isClient(clientOf(one))
    if (api !== undefined) await world.servers.links.kafka.seen(isMoment, limited(world))
    victim.freeze()
    try {
      await world.pause(world.options.sessionMs + extra)
    } finally {
      victim.thaw()
    }
    return { mark: world.mark() }
  }
}
