export { type Kept, keep, keptSeeds } from "./kept.ts"
export { SHAPES, type Shape } from "./pipelines.ts"
export { SABOTAGES, type Sabotage } from "./sabotage.ts"
export { type Options, type Result, simulate } from "./simulation.ts"
