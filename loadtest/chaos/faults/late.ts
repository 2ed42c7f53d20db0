import { API, apiOf, clientOf } from "../net/units.ts"
import { catchNext, type Fault, limited, victimOf } from "./fault.ts"

/**
 * The first copy of a request that ends a transaction, or brings its offsets, is lost on the way; librdkafka's own retry
 * succeeds; and the copy arrives in the *next* transaction of the same producer, at the point where it does most harm.
 */
const late = (name: string, api: number, harmfulBefore: number): Fault => ({
  name,
  group: "late",
  where: "kafka",
  inject: async scene => {
    const { world } = scene
    const { kafka } = world.servers.links
    const victim = victimOf(scene)
    const held = await catchNext(scene, kafka, one => apiOf(one) === api && victim.isClient(clientOf(one)))
    const client = clientOf(held.request)
    const of = (number: number) => (one: Buffer) => apiOf(one) === number && clientOf(one) === client
    const retried = kafka.seen(of(api), limited(world))
    const copy = held.detach()
    try {
      await retried
      await kafka.seen(of(API.produce), limited(world))
      const next = await catchNext(scene, kafka, of(harmfulBefore))
      const mark = world.mark()
      await copy.release()
      next.forward()
      return { mark }
    } finally {
      copy.close()
    }
  }
})

/** It would commit the outputs of the next transaction without their offsets. */
export const lateEndTxn = late("late EndTxn", API.endTxn, API.txnOffsetCommit)

/** It would take the offsets of the next transaction back, behind those that it has sent. */
export const lateOffsets = late("late TxnOffsetCommit", API.txnOffsetCommit, API.endTxn)
