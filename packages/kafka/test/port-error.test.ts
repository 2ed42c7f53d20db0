import { expect, test } from "bun:test"
import { kafkaError } from "../src/error.ts"
import { failed } from "../src/port-error.ts"

const fault = { code: 1, kind: "", message: "refused", needed: 0, record: -1 }
const plain = { fatal: false, retriable: false, abortable: false }

// As librdkafka reports it: adding partitions and ending (abortable), sending offsets (fatal).
test.each([{ abortable: true }, { fatal: true }])(
  "a transactional id that the broker has forgotten is neither another process nor a person's affair: %p",
  flags => {
    const { failure } = failed(
      kafkaError("commit", { ...fault, ...plain, name: "INVALID_PRODUCER_ID_MAPPING", ...flags })
    )
    expect(failure).toBe("fatal" in flags ? "Gone" : "Abort")
  }
)
