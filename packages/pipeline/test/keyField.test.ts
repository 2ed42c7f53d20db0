import { expect, test } from "bun:test"
import { keyField } from "../src/keyField.ts"

/** A function with this very source text: what a transpiler may make of one. */
const written = (source: string): ((record: never) => unknown) => new Function(`return (${source})`)()

test.each([
  "p => p.account",
  "(p) => p.account",
  "( p ) => ( p.account )",
  "p=>p.account",
  "(p        ) => (p.account          )",
  "p => ((p.account))",
  "p => ((p).account)",
  "(p,) => p.account",
  "p => { return p.account }",
  "p => { return p.account; }",
  "(p) => {\n  return p.account;\n}",
  "p => {return(p.account)}",
  'p => p["account"]',
  "p => p['account']",
  "p =>\n  p\n    .account",
  "function (p) { return p.account }",
  "function(p) {\n  return p.account;\n}",
  "function byAccount(p) { return p.account; }",
  "function $(_) { return _.account }"
])("only reads account: %s", source => {
  expect(keyField(written(source))).toBe("account")
})

test.each([
  'p => p.account || "x"',
  'p => p.account ?? "x"',
  "p => p.account.length",
  "p => p.account.id",
  "p => p.account()",
  "p => p.account + 1",
  "p => !p.account",
  "p => -p.account",
  "p => +p.account",
  "p => `$" + "{p.account}`",
  "p => p?.account",
  "p => p.account?.id",
  "p => q.account",
  "p => (q, p.account)",
  "p => (p.account, p.other)",
  "p => p",
  "p => p[account]",
  "p => p[0]",
  'p => p["account" + 1]',
  "p => p[`account`]",
  "p => String(p.account)",
  "p => p.account as_",
  "p => (p.account /* why */)",
  "p => /* why */ p.account",
  "p => p.account = 1",
  "p => p.account++",
  "p => [p.account]",
  "p => ({ account: p.account })",
  "p => { p.account }",
  "p => { return }",
  "p => { return p.account, 1 }",
  "p => { log(p); return p.account }",
  "p => { return p.account; p = 1 }",
  'p => { "use strict"; return p.account }',
  "p => { returnp.account }",
  "(p = other) => p.account",
  "(p, i) => p.account",
  "(...p) => p.account",
  "([p]) => p.account",
  "({ account }) => account",
  "() => p.account",
  "async p => p.account",
  "async (p) => p.account",
  "function* (p) { return p.account }",
  "async function (p) { return p.account }",
  "function (p) { return this.account }",
  "function (p, q) { return q.account }",
  "p => this.account",
  "p => new p.account",
  "p => void p.account",
  "p => typeof p.account",
  "p => await_.account",
  "p => p.account ? 1 : 2",
  "p => p.account == 1",
  "p => p.a.b.account",
  "class { static account(p) { return p.account } }"
])("does something else: %s", source => {
  expect(keyField(safely(source))).toBeUndefined()
})

/** Some of these are no JavaScript at all: then only the text counts. */
const safely = (source: string): ((record: never) => unknown) => {
  try {
    return written(source)
  } catch {
    return withText(source)
  }
}
const withText = (source: string) => Object.assign((_: never) => source, {})

test("the functions of this file, as this runtime prints them", () => {
  const method = { account: (p: { readonly account: string }) => p.account as string }
  expect(keyField((p: { readonly account: string }) => p.account)).toBe("account")
  expect(keyField(method.account)).toBe("account")
  expect(keyField(((p: { readonly account: string }) => p.account).bind(null))).toBeUndefined()
  expect(keyField(String)).toBeUndefined()
})

test("names beyond ASCII", () => {
  expect(keyField(written("ключ => ключ.счёт"))).toBe("счёт")
  expect(keyField(written("$p1 => $p1.$_9"))).toBe("$_9")
})
