import type { S3 } from "@headrace/dev"

/**
 * An S3 server behind a proxy that holds one write, so that whoever makes it can be killed at that very place. To its
 * clients it is the endpoint; signatures name the proxy's host, which the server takes from the request.
 */
export class HeldBucket {
  readonly endpoint: string
  private readonly server: Bun.Server<undefined>
  private readonly s3: S3
  private counts: (name: string) => boolean = () => false
  private left = 0
  private held = Promise.withResolvers<string>()

  constructor(s3: S3) {
    this.s3 = s3
    this.server = Bun.serve({ port: 0, hostname: "127.0.0.1", idleTimeout: 0, fetch: request => this.pass(request) })
    this.endpoint = `http://127.0.0.1:${this.server.port}`
  }

  /** The n-th write from now on of an object whose name `counts` is carried out, and not answered. Settles with its name. */
  holdWrite(n: number, counts: (name: string) => boolean = () => true): Promise<string> {
    this.counts = counts
    this.left = n
    this.held = Promise.withResolvers()
    return this.held.promise
  }

  stop(): Promise<void> {
    return this.server.stop(true)
  }

  private async pass(request: Request): Promise<Response> {
    const { pathname, search } = new URL(request.url)
    const body = request.method === "GET" || request.method === "HEAD" ? undefined : await request.arrayBuffer()
    const { method, headers } = request
    const answer = await fetch(this.s3.endpoint + pathname + search, { method, headers, ...(body && { body }) })
    const name = decodeURIComponent(pathname).slice(`/${this.s3.bucket}/`.length)
    if (body === undefined || !this.counts(name) || --this.left !== 0) return answer
    this.held.resolve(`${method} ${name}`)
    return new Promise(() => {})
  }
}
