/** What each query gives, worked out from all events at once. */
import type { NexmarkEvent } from "../../nexmark/generator/generator.ts"
import type { Auction, Bid, Person, SideInput } from "../../nexmark/schemas.ts"

export interface World {
  readonly persons: readonly Person[]
  readonly auctions: readonly Auction[]
  /** In the order in which they come. */
  readonly bids: readonly Bid[]
  readonly side: readonly SideInput[]
}

export const worldOf = (events: readonly NexmarkEvent[], side: readonly SideInput[]): World => ({
  persons: events.flatMap(event => (event.kind === "person" ? [event.record] : [])),
  auctions: events.flatMap(event => (event.kind === "auction" ? [event.record] : [])),
  bids: events.flatMap(event => (event.kind === "bid" ? [event.record] : [])),
  side
})

export type Naive = (world: World) => readonly object[]

const groups = <A>(all: readonly A[], key: (one: A) => string | number): readonly (readonly A[])[] => [
  ...Map.groupBy(all, key).values()
]
const sum = (numbers: readonly number[]): number => numbers.reduce((total, one) => total + one, 0)
const floor = (time: number, grid: number): number => time - (time % grid)
const day = (time: number): string => new Date(time).toISOString().slice(0, 10)
const hour = (time: number): number => new Date(time).getUTCHours()
const euros = (price: number): number => 0.908 * price
const ends = (time: number, size: number, slide: number): readonly number[] =>
  Array.from({ length: size / slide }, (_, i) => floor(time, slide) + slide * (i + 1))

/** Auctions with their winning bids, in the order in which they close. */
const won = ({ auctions, bids }: World): readonly { readonly auction: Auction; readonly bid: Bid }[] =>
  auctions
    .flatMap(auction => {
      const [bid] = bids
        .filter(bid => bid.auction === auction.id)
        .filter(bid => bid.dateTime >= auction.dateTime && bid.dateTime <= auction.expires)
        .toSorted((a, b) => b.price - a.price || a.dateTime - b.dateTime)
      return bid === undefined ? [] : [{ auction, bid }]
    })
    .toSorted((a, b) => a.auction.expires - b.auction.expires || a.auction.id - b.auction.id)

const sessions = (times: readonly number[]): readonly (readonly number[])[] => {
  const made: number[][] = []
  for (const time of times.toSorted((a, b) => a - b)) {
    const open = made.at(-1)
    if (open !== undefined && time - open.at(-1)! <= 10_000) open.push(time)
    else made.push([time])
  }
  return made
}

const ranks = [
  (_: Bid) => true,
  (bid: Bid) => bid.price < 10_000,
  (bid: Bid) => bid.price >= 10_000 && bid.price < 1_000_000,
  (bid: Bid) => bid.price >= 1_000_000
] as const
const of = (bids: readonly Bid[], rank: number): readonly Bid[] => bids.filter(ranks[rank]!)
const distinct = (bids: readonly Bid[], rank: number, field: "bidder" | "auction"): number =>
  new Set(of(bids, rank).map(bid => bid[field])).size

const counts = (bids: readonly Bid[]) => ({
  totalBids: bids.length,
  rank1Bids: of(bids, 1).length,
  rank2Bids: of(bids, 2).length,
  rank3Bids: of(bids, 3).length
})
const statistics = (bids: readonly Bid[]) => ({
  ...counts(bids),
  totalBidders: distinct(bids, 0, "bidder"),
  rank1Bidders: distinct(bids, 1, "bidder"),
  rank2Bidders: distinct(bids, 2, "bidder"),
  rank3Bidders: distinct(bids, 3, "bidder"),
  totalAuctions: distinct(bids, 0, "auction"),
  rank1Auctions: distinct(bids, 1, "auction"),
  rank2Auctions: distinct(bids, 2, "auction"),
  rank3Auctions: distinct(bids, 3, "auction")
})

const channelIds = new Map([
  ["Apple", "0"],
  ["Google", "1"],
  ["Facebook", "2"],
  ["Baidu", "3"]
])

export const NAIVE: Readonly<Record<string, Naive>> = {
  q0: ({ bids }) => bids,
  q1: ({ bids }) => bids.map(({ price, channel, url, ...bid }) => ({ ...bid, euros: euros(price) })),
  q2: ({ bids }) => bids.filter(bid => bid.auction % 123 === 0).map(({ auction, price }) => ({ auction, price })),
  q3: ({ auctions, persons }) => {
    const sellers = new Map(persons.map(person => [person.id, person]))
    return auctions
      .filter(auction => auction.category === 10 && sellers.has(auction.seller))
      .map(auction => ({ ...sellers.get(auction.seller)!, id: auction.id }))
      .filter(({ state }) => ["OR", "ID", "CA"].includes(state))
      .map(({ name, city, state, id }) => ({ name, city, state, id }))
  },
  q4: world =>
    groups(won(world), ({ auction }) => auction.category).map(all => ({
      category: all[0]!.auction.category,
      final: sum(all.map(({ bid }) => bid.price)) / all.length
    })),
  q5: ({ bids }) => {
    const stands = bids.flatMap(bid => ends(bid.dateTime, 10_000, 2_000).map(end => ({ ...bid, end })))
    return groups(stands, ({ end }) => end).flatMap(window => {
      const counted = groups(window, ({ auction }) => auction)
      const most = Math.max(...counted.map(({ length }) => length))
      return counted
        .filter(({ length }) => length === most)
        .map(([{ auction, end } = stands[0]!]) => ({ auction, bids: most, windowStart: end - 10_000, windowEnd: end }))
    })
  },
  q6: world =>
    groups(won(world), ({ auction }) => auction.seller).flatMap(all =>
      all.map(({ auction: { seller } }, i) => {
        const last = all.slice(Math.max(0, i - 9), i + 1).map(({ bid }) => bid.price)
        return { seller, average: sum(last) / last.length }
      })
    ),
  q7: ({ bids }) =>
    groups(bids, bid => floor(bid.dateTime, 10_000)).flatMap(window => {
      const highest = Math.max(...window.map(({ price }) => price))
      return window.filter(({ price }) => price === highest)
    }),
  q8: ({ auctions, persons }) =>
    persons
      .filter(({ id, dateTime }) =>
        auctions.some(auction => auction.seller === id && floor(auction.dateTime, 10_000) === floor(dateTime, 10_000))
      )
      .map(({ id, name, dateTime }) => ({ id, name, startTime: floor(dateTime, 10_000) })),
  q9: world =>
    won(world).map(({ auction, bid }) => ({
      ...auction,
      auction: bid.auction,
      bidder: bid.bidder,
      price: bid.price,
      bidDateTime: bid.dateTime,
      bidExtra: bid.extra
    })),
  q11: ({ bids }) =>
    groups(bids, bid => bid.bidder).flatMap(all =>
      sessions(all.map(({ dateTime }) => dateTime)).map(times => ({
        bidder: all[0]!.bidder,
        bids: times.length,
        startTime: times[0]!,
        endTime: times.at(-1)! + 10_000
      }))
    ),
  q13: ({ bids, side }) => {
    const values = new Map(side.map(({ key, value }) => [key, value]))
    return bids.flatMap(({ auction, bidder, price, dateTime }) => {
      const value = values.get(auction % 10_000)
      return value === undefined ? [] : [{ auction, bidder, price, dateTime, value }]
    })
  },
  q14: ({ bids }) =>
    bids
      .filter(({ price }) => euros(price) > 1_000_000 && euros(price) < 50_000_000)
      .map(({ price, channel, url, ...bid }) => ({
        ...bid,
        euros: euros(price),
        bidTimeType: ["nightTime", "otherTime", "dayTime"][
          hour(bid.dateTime) >= 8 && hour(bid.dateTime) <= 18 ? 2 : [7, 19].includes(hour(bid.dateTime)) ? 1 : 0
        ],
        cCount: [...bid.extra].filter(letter => letter === "c").length
      })),
  q15: ({ bids }) =>
    groups(bids, bid => day(bid.dateTime)).map(all => ({ day: day(all[0]!.dateTime), ...statistics(all) })),
  q16: ({ bids }) =>
    groups(bids, bid => `${bid.channel} ${day(bid.dateTime)}`).map(all => ({
      channel: all[0]!.channel,
      day: day(all[0]!.dateTime),
      minute: new Date(Math.max(...all.map(({ dateTime }) => dateTime))).toISOString().slice(11, 16),
      ...statistics(all)
    })),
  q17: ({ bids }) =>
    groups(bids, bid => `${bid.auction} ${day(bid.dateTime)}`).map(all => {
      const prices = all.map(({ price }) => price)
      return {
        auction: all[0]!.auction,
        day: day(all[0]!.dateTime),
        ...counts(all),
        minPrice: Math.min(...prices),
        maxPrice: Math.max(...prices),
        averagePrice: sum(prices) / prices.length,
        sumPrice: sum(prices)
      }
    }),
  q18: ({ bids }) =>
    groups(bids, bid => `${bid.bidder} ${bid.auction}`).map(all =>
      all.reduce((last, bid) => (bid.dateTime >= last.dateTime ? bid : last))
    ),
  q19: ({ bids }) =>
    groups(bids, bid => bid.auction).flatMap(all =>
      all
        .toSorted((a, b) => b.price - a.price)
        .slice(0, 10)
        .map((bid, i) => ({ ...bid, rank: i + 1 }))
    ),
  q20: ({ auctions, bids }) =>
    bids.flatMap(({ dateTime: bidDateTime, extra: bidExtra, ...bid }) =>
      auctions
        .filter(auction => auction.id === bid.auction && auction.category === 10)
        .map(({ id, dateTime: auctionDateTime, extra: auctionExtra, ...auction }) => ({
          ...bid,
          bidDateTime,
          bidExtra,
          ...auction,
          auctionDateTime,
          auctionExtra
        }))
    ),
  q21: ({ bids }) =>
    bids.flatMap(({ auction, bidder, price, channel, url }) => {
      const channelId = channelIds.get(channel) ?? url.split("&channel_id=")[1]
      return channelId === undefined ? [] : [{ auction, bidder, price, channel, channelId }]
    }),
  q22: ({ bids }) =>
    bids.map(({ auction, bidder, price, channel, url }) => {
      const [dir1, dir2, dir3] = new URL(url).pathname.slice(1).split("/")
      return { auction, bidder, price, channel, dir1, dir2, dir3 }
    })
}
