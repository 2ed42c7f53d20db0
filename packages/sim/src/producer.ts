import { exchangeName, LogError, type LogFailure, OUTPUT_STRIDE, type Outputs, type Place } from "@headrace/engine"
import { isEmptyDelta, ofChannel } from "./broken-records.ts"
import { WATERMARK } from "./engine.ts"
import { drawFate, FATES, failureOf, refusal } from "./fate.ts"
import { type LogRecord, nameOf, type Partition } from "./log.ts"
import { Session } from "./session.ts"
import type { SimSource } from "./source.ts"
import { APP, type World } from "./world.ts"

/** How often a request has left the process by the time that the lane has asked for it. */
const SENT = 0.5

/** A lane's transactional producer: records leave one by one, in order only within a partition. */
export class SimProducer {
  readonly id: string
  private readonly world: World
  private readonly owner: object
  private readonly topics: readonly string[]
  private session: Session | undefined
  /** Who the process was in the group at its first transaction. */
  private member: ReturnType<SimSource["metadata"]> | undefined
  /** The offsets of the transaction are committed, as far as this process knows. */
  private confirm = () => {}
  /** An end is under way that the lane takes for over. */
  ending = false

  constructor(world: World, owner: object, id: string, topics: readonly string[]) {
    this.world = world
    this.owner = owner
    this.id = id
    this.topics = topics
  }

  get poisoned(): boolean {
    return this.session?.poisoned === true && this.world.sabotage !== "poisonIgnored"
  }

  /** Closes the session, fences it and aborts; `done` when a new one is there. It is asked for until that is answered. */
  initialise(done: () => void): void {
    const { world, id } = this
    const fence = () => {
      if (this.session !== undefined) this.session.closed = true
      this.session = undefined
      if (world.sabotage !== "openNotAborted") world.log.fence(id)
      world.call(this.owner, `${id} initialised`, () => this.opened(done), { ready: () => !world.log.busy(id) })
    }
    world.call(this.owner, `${id} fence`, fence, { ready: () => !this.ending })
  }

  /** What became of the request for a session. One that is late comes from a client that is closed, and fences the next one's. */
  private opened(done: () => void): void {
    const { world, id } = this
    const { random, faults } = world
    const fate = random.chance(faults.fail / 2)
      ? random.pick(["unknownDone", "unknownLost", "unknownLate"] as const)
      : "ok"
    if (fate !== "ok") world.inject(FATES[fate])
    const epoch = fate === "ok" || fate === "unknownDone" ? world.log.session(id) : undefined
    if (fate === "unknownLate")
      world.call(undefined, `${id} late initialise`, () => world.log.fence(id), {
        weight: 1,
        ready: () => !world.log.busy(id)
      })
    world.reply(this.owner, `${id} initialised`, () => {
      if (epoch === undefined || fate !== "ok") return this.initialise(done)
      if (this.session !== undefined) this.session.closed = true
      this.session = new Session(epoch)
      done()
    })
  }

  begin(): void {
    const session = this.usable()
    if (session.began) throw this.broken(session, "Abort", "a transaction has begun already")
    session.began = true
    session.added = false
  }

  produce(outputs: Outputs): void {
    const session = this.usable()
    if (!session.began) throw this.broken(session, "Abort", "produced outside of a transaction")
    const fate = this.world.random.chance(this.world.faults.fail)
    const count = fate ? this.world.random.int(0, outputs.count) : outputs.count
    for (let i = 0; i < count; i++) this.enqueue(session, outputs, i)
    if (fate) throw this.broken(session, this.world.random.pick(["Abort", "Unknown"] as const), "produce")
  }

  private enqueue(session: Session, outputs: Outputs, i: number): void {
    const { index, data, stamps } = outputs
    const at = i * OUTPUT_STRIDE
    const [topic, partition, keyStart, keyLength, valueStart, valueLength] = index.subarray(at, at + 6)
    const key = keyLength! < 0 ? undefined : data.bytes.slice(keyStart, keyStart! + keyLength!)
    const value = data.bytes.slice(valueStart, valueStart! + valueLength!)
    if (this.world.sabotage === "emptyNotWritten" && isEmptyDelta(this.topics[topic!]!, value)) return
    const partitions = this.world.log.topics.get(this.topics[topic!]!)!
    const to = partition! >= 0 ? partitions[partition!]! : partitions[hash(key) % partitions.length]!
    const queued = session.queue.get(to)
    const record = { key, value, timestamp: stamps[i]! }
    if (queued === undefined) {
      session.queue.set(to, [record])
      this.deliverTo(session, to)
    } else queued.push(record)
  }

  private append(session: Session, to: Partition, record: LogRecord): void {
    const { world, id } = this
    const { sabotage } = world
    const isWatermark = to.topic.startsWith(exchangeName(APP, "")) && record.value[0] === WATERMARK
    if (isWatermark && sabotage === "watermarkOutside") return to.append(record)
    world.log.append(id, session.epoch, to, record, world.now)
    if (!isWatermark || sabotage !== "watermarkOfOne") return
    for (const other of world.inputs().keys())
      world.log.append(id, session.epoch, to, { ...record, value: ofChannel(record.value, other) }, world.now)
  }

  /** Some records of one partition arrive; the rest stays under way. Those of a killed process may arrive as well. */
  private deliverTo(session: Session, to: Partition): void {
    const { world, id } = this
    world.call(
      session,
      `${id} deliver ${nameOf(to)}`,
      () => {
        const queued = session.queue.get(to)
        if (queued === undefined || session.closed) return
        const some = world.random.int(1, queued.length)
        try {
          for (const record of queued.splice(0, some)) this.append(session, to, record)
          session.added = true
        } catch (error) {
          if (!(error instanceof LogError)) throw error
          session.failure = error.failure
          session.queue.clear()
          return
        }
        if (queued.length === 0) session.queue.delete(to)
        else this.deliverTo(session, to)
      },
      { ready: () => !world.log.busy(id) }
    )
  }

  flush(done: () => void, failed: (error: LogError) => void): void {
    const session = this.session
    const { world, id } = this
    const early = world.sabotage === "flushNotAwaited"
    const fails = world.random.chance(world.faults.fail / 2)
    const ready = () => early || fails || session === undefined || session.empty || session.failure !== undefined
    world.call(
      this.owner,
      `${id} flush`,
      () => {
        try {
          const used = this.usable()
          if (fails) throw this.broken(used, world.random.pick(["Abort", "Unknown"] as const), "flush")
        } catch (error) {
          return failed(error as LogError)
        }
        done()
      },
      { ready }
    )
  }

  sendOffsets(offsets: readonly Place[], source: SimSource, done: () => void, failed: (error: LogError) => void): void {
    const { world, id } = this
    if (world.sabotage === "offsetsNotSent") return void world.call(this.owner, `${id} no offsets`, done)
    this.member ??= source.metadata()
    const metadata = world.sabotage === "staleMember" ? this.member : source.metadata()
    if (metadata.letGo) {
      const error = new LogError("Abort", `the group has let ${metadata.name} go`)
      return void world.call(this.owner, `${id} offsets not sent`, () => failed(error))
    }
    const all = offsets.map(one => ({ ...one, name: nameOf(one) }))
    this.confirm = () => {
      for (const { name, offset } of all) source.committed.set(name, offset)
    }
    const moved = all.filter(({ name, offset }) => source.committed.get(name) !== offset)
    const named = world.sabotage === "unchangedNotSent" ? moved : all
    // Without any the client sends nothing, and says that all is well.
    if (named.length === 0) return void world.call(this.owner, `${id} no offsets`, done)
    this.request(
      "offsets",
      session => {
        const member = world.group.member(metadata.name, metadata.incarnation)
        if (member === undefined) world.inject("zombie refused")
        if (world.sabotage !== "groupNotFenced" && (member === undefined || member.epoch !== metadata.epoch))
          throw new LogError("Abort", `illegal generation of ${metadata.name}`)
        if (world.sabotage === "offsetsOutside") return world.log.commitOffsets(named)
        world.log.addOffsets(id, session.epoch, named, world.now)
        session.added = true
      },
      done,
      failed
    )
  }

  commit(done: () => void, failed: (error: LogError) => void): void {
    const { world, id } = this
    const assumed = world.sabotage === "commitAssumed" ? done : failed
    const end = (session: Session) => {
      if (session.added) world.log.end(id, session.epoch, "commit")
    }
    // The lane goes on; the next use of the producer waits for the end, and learns of its failure.
    const over = () => {
      this.ending = false
    }
    if (world.sabotage === "endNotAwaited") {
      this.ending = true
      world.call(this.owner, `${id} end not awaited`, done)
    }
    // The client waits for its queue before it ends a transaction.
    this.request(
      "commit",
      end,
      this.ending ? over : done,
      this.ending ? over : assumed,
      session => session.empty || session.failure !== undefined,
      session => {
        session.began = false
        this.confirm()
      }
    )
  }

  /**
   * One request to the coordinator, with what the network does to it: on its way there it may belong to nobody, so that it
   * arrives although who sent it stands still or was killed; and its answer takes its time.
   */
  private request(
    what: string,
    apply: (session: Session) => void,
    done: () => void,
    failed: (error: LogError) => void,
    ready: (session: Session) => boolean = () => true,
    after: (session: Session) => void = () => {}
  ): void {
    const { world, id } = this
    const session = this.session
    const idle = () => session === undefined || (ready(session) && !world.log.busy(id))
    const late = (session: Session) =>
      world.call(undefined, `${id} late ${what}`, () => this.swallow(() => apply(session)), {
        weight: 1,
        ready: () => !world.log.busy(id)
      })
    const arrive = (): void => {
      const used = this.usable()
      const fate = drawFate(world)
      if (fate !== "ok") world.trace(`${id} ${what}: ${fate}`)
      if (fate !== "ok") world.inject(FATES[fate])
      if (fate === "ok" || fate === "unknownDone") apply(used)
      if (fate === "unknownLate") late(used)
      if (fate !== "ok") throw this.broken(used, failureOf(fate), what)
      if (!this.ending && world.random.chance(world.faults.poison)) {
        used.poisoned = true
        world.inject("request duplicated")
        late(used)
      }
    }
    const request = (): void => {
      const error = refusal(arrive)
      world.reply(this.owner, `${id} ${what}`, () => {
        if (error === undefined) {
          if (session !== undefined) after(session)
          return done()
        }
        if (this.session !== undefined) this.session.failure = error.failure
        failed(error)
      })
    }
    const sent = world.random.chance(SENT)
    world.call(sent ? undefined : this.owner, `${id} ${what}`, request, { ready: idle })
  }

  /** A request that nobody waits for any more. */
  private swallow(apply: () => void): void {
    const error = refusal(apply)
    if (error !== undefined) this.world.trace(`${this.id} refused: ${error.message}`)
  }

  private usable(): Session {
    const { session } = this
    if (session === undefined) throw new LogError("Abort", `${this.id} is not initialised`)
    if (session.failure !== undefined) throw new LogError(session.failure, `${this.id} has failed before`)
    return session
  }

  private broken(session: Session, failure: LogFailure, what: string): LogError {
    session.failure = failure
    return new LogError(failure, `${this.id}: ${what} failed (${failure})`)
  }
}

const hash = (key: Uint8Array | undefined): number => {
  let sum = 7
  for (const byte of key ?? []) sum = (sum * 31 + byte) >>> 0
  return sum
}
