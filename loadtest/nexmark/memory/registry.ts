import { type AvroJson, Registry, RegistryError } from "@headrace/avro"
import { Effect, Layer } from "effect"

/** Schemas that are known to this process only. */
export const memoryRegistry: Layer.Layer<Registry> = Layer.sync(Registry, () => {
  const schemas: AvroJson[] = []
  const subjects = new Map<string, number>()
  const missing = (what: string) =>
    Effect.fail(new RegistryError({ reason: "NotFound", message: `Nobody registered ${what}` }))
  return Registry.of({
    byId: id => {
      const schema = schemas[id - 1]
      return schema === undefined ? missing(`schema ${id}`) : Effect.succeed(schema)
    },
    register: (subject, schema) =>
      Effect.sync(() => {
        const known = subjects.get(subject)
        if (known !== undefined) return known
        const id = schemas.push(schema)
        subjects.set(subject, id)
        return id
      }),
    latest: missing,
    compatible: () => Effect.succeed(true)
  })
})
