import { expect, test } from "bun:test"
import { instancePrefix, type JobConfig, laneName, transactionalIds } from "@headrace/engine"
import { Schema } from "effect"
import fc from "fast-check"
import { Name } from "../src/value.ts"

const jobOf = (app: string, instance: string) => ({ app, instance }) as JobConfig
const isName = Schema.is(Name)
const name = fc.stringMatching(/^[a.0_-]{1,3}$/).filter(isName)
/** Three parts make an app and an instance in two ways, which read the same but for where one ends. */
const twoWays = fc
  .tuple(name, name, name, fc.constantFrom("-", ".", "_", "--", ".."))
  .map(([a, b, c, between]) => [
    { app: a, instance: `${b}${between}${c}` },
    { app: `${a}${between}${b}`, instance: c }
  ])
  .filter(all => all.every(({ app, instance }) => isName(app) && isName(instance)))

test("no two instances have a lane of one name, and an instance's transactional ids are its own", () => {
  fc.assert(
    fc.property(twoWays, fc.nat(12), ([one, other], lane) => {
      const [a, b] = [jobOf(one!.app, one!.instance), jobOf(other!.app, other!.instance)]
      expect(laneName(a, lane)).not.toBe(laneName(b, lane))
      for (const id of transactionalIds(b, lane)) expect(id.startsWith(instancePrefix(a))).toBe(false)
      for (const id of transactionalIds(a, lane)) expect(id.startsWith(instancePrefix(a))).toBe(true)
    }),
    { numRuns: 2000 }
  )
})

test("names that were one are told apart", () => {
  expect(laneName(jobOf("spend", "eu-1"), 0)).not.toBe(laneName(jobOf("spend-eu", "1"), 0))
  expect(transactionalIds(jobOf("spend", "a-1"), 0)[0].startsWith(instancePrefix(jobOf("spend", "a")))).toBe(false)
  expect(["a..b", ".a", "a.", ".."].filter(isName)).toEqual([])
})
