// Looks for coordinators that are gone, for as long as something waits for them.
//
// librdkafka asks again who a group's coordinator is when some connection comes or goes, and then only if a second has
// passed. When the coordinator's broker died and is not among the cluster's any more, none does: the offsets of a
// transaction wait, whatever time the call was given (confluentinc/librdkafka#5456 and #5511). And the coordinator of
// transactions is asked for again when connecting to it fails, which a machine that is gone without a word puts off by
// socket.connection.setup.timeout.ms. It is compiled against the headers of the very library that is linked (build.rs),
// whose version Cargo.toml pins: look at rd_kafka_coord_req_fsm and rd_kafka_txn_coord_query when that changes.

#include "rdkafka_int.h"
#include "rdkafka_broker.h"
#include "rdkafka_coord.h"
#include "rdkafka_txnmgr.h"
#include "attend.h"

/// Of one request, before some broker has answered who the coordinator is. The request itself holds one reference.
#define ASKED_MOST 3

/// Whoever waits for a group's coordinator asks for it now, unless enough brokers have been asked already.
static void look_for_groups(rd_kafka_t *rk) {
  rd_bool_t waits = rd_false;
  rd_kafka_coord_req_t *request;
  TAILQ_FOREACH(request, &rk->rk_coord_reqs, creq_link) {
    if (request->creq_refcnt > ASKED_MOST) continue;
    rd_interval_reset(&request->creq_query_intvl);
    waits = rd_true;
  }
  if (!waits) return;
  // As if a connection had come or gone: any broker will do.
  rd_kafka_broker_t *any = rd_kafka_broker_internal(rk);
  if (any == NULL) return;
  rd_kafka_coord_rkb_monitor_cb(any);
  rd_kafka_broker_destroy(any);
}

/// One question at a time, which librdkafka sees to.
static void look_for_transactions(rd_kafka_t *rk) {
  if (rk->rk_eos.txn_curr_coord == NULL || rd_kafka_broker_is_up(rk->rk_eos.txn_coord)) return;
  rd_kafka_wrlock(rk);
  rd_kafka_txn_coord_query(rk, "Coordinator is not up");
  rd_kafka_wrunlock(rk);
}

/// An answer takes a millisecond, and an election of another coordinator some seconds.
void headrace_look_for_coordinators(rd_kafka_t *rk) {
  if (!rd_kafka_is_transactional(rk)) return;
  look_for_groups(rk);
  look_for_transactions(rk);
}
