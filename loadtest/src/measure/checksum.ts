/**
 * A sum over (account, window) that is linear in its contents: what each event adds when it is sent is what its
 * window's result adds when it is emitted, in any order. Equal sums: each window holds exactly its own events (but
 * for a chance of 2⁻³²), without remembering any of them.
 */
export class WindowSum {
  payments = 0
  cents = 0
  /** Both modulo 2³². */
  paymentsMixed = 0
  centsMixed = 0

  add(account: number, windowStart: number, payments: number, cents: number): void {
    const weight = weightOf(account, windowStart)
    this.payments += payments
    this.cents += cents
    this.paymentsMixed = (this.paymentsMixed + Math.imul(weight, payments)) | 0
    this.centsMixed = (this.centsMixed + Math.imul(weight, cents)) | 0
  }

  plus(other: WindowTotals): this {
    this.payments += other.payments
    this.cents += other.cents
    this.paymentsMixed = (this.paymentsMixed + other.paymentsMixed) | 0
    this.centsMixed = (this.centsMixed + other.centsMixed) | 0
    return this
  }

  equals(other: WindowTotals): boolean {
    return (
      this.payments === other.payments &&
      this.cents === other.cents &&
      this.paymentsMixed === other.paymentsMixed &&
      this.centsMixed === other.centsMixed
    )
  }
}

/** The plain values of a sum, as they cross threads. */
export type WindowTotals = Pick<WindowSum, "payments" | "cents" | "paymentsMixed" | "centsMixed">

export const totalsOf = ({ payments, cents, paymentsMixed, centsMixed }: WindowTotals): WindowTotals => ({
  payments,
  cents,
  paymentsMixed,
  centsMixed
})

const weightOf = (account: number, windowStart: number): number => {
  let hash = Math.imul(account + 1, 0x9e3779b1) ^ Math.imul(Math.floor(windowStart / 1000), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 16), 0x21f0aaad)
  hash = Math.imul(hash ^ (hash >>> 15), 0x735a2d97)
  return hash ^ (hash >>> 15)
}
