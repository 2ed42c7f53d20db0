import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("../../../", import.meta.url))

/** The Node that has @confluentinc/kafka-javascript: the one that tools/ was started with, else the machine's own. */
export const auditNode = (): string =>
  process.env.HEADRACE_AUDIT_NODE ??
  Bun.which("node", {
    PATH: (process.env.PATH ?? "")
      .split(":")
      .filter(path => !path.includes("node_modules"))
      .join(":")
  }) ??
  "node"

/** Makes Confluent's client loadable, which costs nothing when it is. */
export const ensureIndependentClient = async (): Promise<void> => {
  const script =
    "import { auditorIsReady, ensureAuditor } from './tools/auditor.mjs'; if (!auditorIsReady()) await ensureAuditor(console.error)"
  const child = Bun.spawn([auditNode(), "--input-type=module", "-e", script], { cwd: root, stderr: "pipe" })
  const [problem, code] = await Promise.all([child.stderr.text(), child.exited])
  if (code !== 0) throw new Error(`The independent client cannot be made: ${problem}`)
}
