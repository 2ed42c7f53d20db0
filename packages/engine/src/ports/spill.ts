import type { SpillStore } from "@headrace/core"
import { Context } from "effect"

/** Local disk for state that is too much for memory. */
export class Spill extends Context.Service<
  Spill,
  {
    /** An empty store, for the state of one partition. Called from within a lane's step, hence no Effect. */
    readonly open: () => SpillStore
  }
>()("@headrace/engine/Spill") {}
