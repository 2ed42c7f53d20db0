import type { ValueCodec } from "../codec.ts"
import { Cells } from "../state/cells.ts"

/** The handle number of a window's fired keys: behind those of its rows and of however many sets. */
export const FIRED = 254

const nothing: ValueCodec<undefined> = { write: () => {}, read: () => undefined }

/**
 * Keys that are out of a window which was in the middle of its firing when its partition was split by key: each until the window
 * has fired for all others as well, at the time of its last ms. Nobody else's operator has any.
 */
export const firedKeys = (id: string) => new Cells<undefined>({ id, handle: FIRED, codec: nothing, timed: true })
