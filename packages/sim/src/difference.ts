/** What is wrong with `got`, for people. */
export const difference = (got: readonly string[], want: readonly string[]): string => {
  const lost = want.filter(one => !got.includes(one))
  const alien = got.filter(one => !want.includes(one))
  const doubled = got.filter((one, i) => got.indexOf(one) !== i)
  if (lost.length + alien.length + doubled.length === 0) return `out of order: ${got} instead of ${want}`
  return `lost ${lost.length} (${lost.slice(0, 3)}), doubled ${doubled.length} (${doubled.slice(0, 3)}), alien ${alien.length} (${alien.slice(0, 3)})`
}
