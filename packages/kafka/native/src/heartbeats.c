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
#include "rdkafka_timer.h"

/// Far below the default heartbeat interval, 5 s. One that comes sooner behind an answer says less, and the next one says all.
#define REMIND_EVERY_US (250 * 1000)

/// On librdkafka's main thread, whose the group is. The flag is taken back with each answer.
static void remind(rd_kafka_timers_t *timers, void *opaque) {
  rd_kafka_t *rk = timers->rkts_rk;
  if (rd_kafka_terminating(rk) || rk->rk_cgrp->rkcg_generation_id <= 0) return;
  rk->rk_cgrp->rkcg_consumer_flags |= RD_KAFKA_CGRP_CONSUMER_F_SEND_FULL_REQUEST;
}

/// To be called once for a consumer; nothing happens for one that is no member by KIP-848. What it returns is to be freed when the
/// consumer is destroyed, not before.
void *headrace_say_all(rd_kafka_t *rk) {
  rd_kafka_cgrp_t *group = rk->rk_cgrp;
  if (group == NULL || group->rkcg_group_protocol != RD_KAFKA_GROUP_PROTOCOL_CONSUMER) return NULL;
  rd_kafka_timer_t *timer = rd_calloc(1, sizeof(*timer));
  rd_kafka_timer_start(&rk->rk_timers, timer, REMIND_EVERY_US, remind, NULL);
  return timer;
}
