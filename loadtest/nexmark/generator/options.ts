/** What the events of a run are like: the parameters of the public generators, with their defaults. */
export interface NexmarkOptions {
  readonly seed: number
  /** Of event time: how many events there are in a second. */
  readonly eventsPerSecond: number
  /** Event time of the first event, ms since the epoch. */
  readonly startAt: number
  /** Events come in the order of their times (1), or mixed within groups of so many. No multiple of 953. */
  readonly outOfOrderGroup: number
  /** In each round there are so many persons, then auctions, then bids. */
  readonly persons: number
  readonly auctions: number
  readonly bids: number
  /** Of n auctions all but one are by a hot seller; of n bids all but one by a hot bidder, or in a hot auction. */
  readonly hotSellers: number
  readonly hotBidders: number
  readonly hotAuctions: number
  /** The latest persons: they sell and bid. */
  readonly activePeople: number
  /** The latest auctions: they get bids, and last about as long as it takes to begin so many. */
  readonly inFlightAuctions: number
  /** Mean size of a record in bytes, as its fields are counted there. */
  readonly personBytes: number
  readonly auctionBytes: number
  readonly bidBytes: number
}

export const nexmarkDefaults: NexmarkOptions = {
  seed: 1,
  eventsPerSecond: 10_000,
  startAt: Date.UTC(2026, 0, 1),
  outOfOrderGroup: 1,
  persons: 1,
  auctions: 3,
  bids: 46,
  hotSellers: 4,
  hotBidders: 4,
  hotAuctions: 2,
  activePeople: 1000,
  inFlightAuctions: 100,
  personBytes: 200,
  auctionBytes: 500,
  bidBytes: 100
}
