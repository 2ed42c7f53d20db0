/** What an error says. The messages of Bun's bundler are no Errors, but have one. */
export const messageOf = (error: unknown): string =>
  typeof error === "object" && error !== null && "message" in error ? String(error.message) : String(error)
