// Has a member of a classic group ask to join once more, with what it has: the group gives everything out anew, and each keeps
// what it keeps. librdkafka does so when topics change or when it gave something back, and has no call for it. It is compiled
// against the headers of the very library that is linked (build.rs), whose version Cargo.toml pins: look at rd_kafka_cgrp_rejoin
// when that changes.

#include "rdkafka_int.h"
#include "rdkafka_cgrp.h"
#include "rdkafka_op.h"

/// On librdkafka's main thread, whose the group is. One that is moving already comes to the same by itself.
static rd_kafka_op_res_t rejoin(rd_kafka_t *rk, rd_kafka_q_t *queue, rd_kafka_op_t *op) {
  rd_kafka_cgrp_t *group = rk->rk_cgrp;
  if (op->rko_err || group == NULL || rd_kafka_terminating(rk)) return RD_KAFKA_OP_RES_HANDLED;
  if (group->rkcg_group_protocol == RD_KAFKA_GROUP_PROTOCOL_CLASSIC &&
      group->rkcg_join_state == RD_KAFKA_CGRP_JOIN_STATE_STEADY)
    rd_kafka_cgrp_set_join_state(group, RD_KAFKA_CGRP_JOIN_STATE_INIT);
  return RD_KAFKA_OP_RES_HANDLED;
}

/// From any thread; for any client, of which only members have a group.
void headrace_rejoin(rd_kafka_t *rk) {
  rd_kafka_q_enq(rk->rk_ops, rd_kafka_op_new_cb(rk, RD_KAFKA_OP_WAKEUP, rejoin));
}
