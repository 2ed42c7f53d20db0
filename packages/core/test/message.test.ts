import { expect, test } from "bun:test"
import { messageOf } from "../src/index.ts"

test.each([
  ["an error's own", new TypeError("no such key"), "no such key"],
  ["that of something that is no Error", { message: "unexpected end of file" }, "unexpected end of file"],
  ["what was thrown, where that has none", "plain", "plain"],
  ["also of nothing", null, "null"]
] as const)("a message is %s", (_, error, message) => {
  expect(messageOf(error)).toBe(message)
})
