// Has each heartbeat of a member of a KIP-848 group say all that the member knows, so that its answer says all that the group wants.
//
// The broker tells a member its assignment when that changes, once, and whenever it is told all. An answer that comes later than
// the heartbeat interval has timed out by librdkafka's count (2.12.1: rd_kafka_ConsumerGroupHeartbeatRequest sets that as its limit),
// and is dropped. Where that is the answer which takes partitions away the member keeps them, the broker waits for it to give them
// back, and those whom they go to get nothing, until max.poll.interval.ms has passed. librdkafka says all behind an error of the
// connection or the coordinator, not behind a time-out; Kafka's own client does. It is compiled against the headers of the very library that
// is linked (build.rs), whose version Cargo.toml pins: look at rd_kafka_cgrp_handle_ConsumerGroupHeartbeat when that changes.

#include "rdkafka_int.h"
#include "rdkafka_cgrp.h"
#include "attend.h"

/// The flag is taken back with each answer. A heartbeat that comes sooner behind one says less, and the next one says all: heartbeats
/// are 5 s apart by default.
void headrace_say_all(rd_kafka_t *rk) {
  rd_kafka_cgrp_t *group = rk->rk_cgrp;
  if (group == NULL || group->rkcg_group_protocol != RD_KAFKA_GROUP_PROTOCOL_CONSUMER) return;
  if (group->rkcg_generation_id > 0) group->rkcg_consumer_flags |= RD_KAFKA_CGRP_CONSUMER_F_SEND_FULL_REQUEST;
}
