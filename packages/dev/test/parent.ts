// A process that starts the servers named on its command line, says what they are, and then waits to be killed.
import { startClickHouse, startKafka, startRegistry } from "@headrace/dev"

const starters = { kafka: startKafka, registry: startRegistry, clickhouse: startClickHouse }
const names = process.argv.slice(2) as (keyof typeof starters)[]
const servers = await Promise.all(names.map(name => starters[name]()))
const dataDirs = servers.flatMap(server => ("dataDir" in server ? [server.dataDir] : []))
console.log(JSON.stringify({ pids: servers.map(server => server.pid), dataDirs }))
setInterval(() => {}, 1000)
