/** A payment of less than this tries a card out. */
export const SMALL_CENTS = 1_00
/** One of more than this is what it was tried out for. */
export const LARGE_CENTS = 1_800_00

/** A large payment counts as tried out for less than so long after the small one. */
export const TRIAL_MS = 60_000
/** From the first failed login to the payment it takes less than this. */
export const GUESS_MS = 10_000
/** Nobody gets from one country to another in less time. */
export const TRAVEL_MS = 600_000
/** A terminal that has not been heard of for so long is silent. */
export const SILENCE_MS = 10_000
