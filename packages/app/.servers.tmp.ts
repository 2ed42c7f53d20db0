import { startClickHouse, startKafka, startRegistry } from "@headrace/dev"

const [k, r, c] = await Promise.all([startKafka({ profile: "throughput" }), startRegistry(), startClickHouse()])
await Bun.write("/tmp/servers.env", `K=${k.bootstrap}\nR=${r.url}\nC=${c.url}\n`)
console.log("up")
process.on("SIGTERM", async () => {
  await Promise.all([k.stop(), r.stop(), c.stop()])
  process.exit(0)
})
setInterval(() => {}, 1000)
