#!/usr/bin/env bun
import "./tiers.ts"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Cause, Effect, Exit, Runtime } from "effect"
import { layerLog } from "../../../workers/log.ts"
import { cli } from "./cli.ts"
import { reported } from "./reported.ts"

/** The first Ctrl-C interrupts (NodeRuntime does), the second one does not wait. */
let interrupts = 0
process.on("SIGINT", () => {
  if (++interrupts > 1) process.exit(130)
})

/** An interrupted command may have chosen the exit code: a pipeline that stopped cleanly did what it was asked. */
const teardown: Runtime.Teardown = (exit, onExit) =>
  Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause)
    ? onExit(Number(process.exitCode ?? 130))
    : Runtime.defaultTeardown(exit, onExit)

reported(cli).pipe(
  Effect.provide([NodeServices.layer, layerLog]),
  NodeRuntime.runMain({ disableErrorReporting: true, teardown })
)
