// Has a client that has no broker left begin again with its bootstrap.servers.
//
// librdkafka lets go of brokers that an answer about the cluster does not name. A broker that comes back alone names none, though it
// has topics, until its controller counts it as alive: behind a kill as long as broker.session.timeout.ms. With the last one gone
// librdkafka (2.12.1) asks nobody any more, for ever: it would begin again when all brokers are down, but the same answer
// stops that, and leaves behind that it is under way (confluentinc/librdkafka#5301, open). It is compiled against the headers of
// the very library that is linked (build.rs), whose version Cargo.toml pins: look at rd_kafka_metadata_decommission_unavailable_brokers
// and rd_kafka_rebootstrap when that changes.

#include "rdkafka_int.h"
#include "rdkafka_broker.h"
#include "rdkafka_timer.h"
#include "attend.h"

/// Coordinators have brokers of their own, which lead to no others. One that is on its way out counts until it is gone.
static rd_bool_t has_none(rd_kafka_t *rk) {
  return rd_atomic32_get(&rk->rk_broker_cnt) - rd_atomic32_get(&rk->rk_logical_broker_cnt) == 0;
}

/// What librdkafka would do, and one that was stopped is not under way.
void headrace_begin_again(rd_kafka_t *rk) {
  if (!rd_kafka_timer_is_started(&rk->rk_timers, &rk->rebootstrap_tmr)) rd_atomic32_set(&rk->rk_rebootstrap_in_progress, 0);
  if (!has_none(rk) || rk->rk_conf.brokerlist == NULL) return;
  rd_kafka_brokers_add0(rk, rk->rk_conf.brokerlist, rd_true);
  rd_kafka_rdlock(rk);
  rd_kafka_connect_any(rk, "no broker is left");
  rd_kafka_rdunlock(rk);
}
