import type { GroupMember } from "../ports/clients.ts"
import type { TopicPartition } from "../ports/log.ts"

/**
 * What a member of a group owns; nothing where the group has no such member, or does not tell. Undefined while partitions are
 * given out anew: then brokers say of no member what it has, and what it had may well be what it gets.
 */
export const ownedBy = (
  member: string,
  members: readonly GroupMember[] | undefined
): readonly TopicPartition[] | undefined => {
  const own = members?.find(({ name }) => name === member)
  if (own === undefined) return []
  return members!.some(({ partitions }) => partitions.length > 0) ? own.partitions : undefined
}
