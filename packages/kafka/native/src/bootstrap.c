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

/// Coordinators have brokers of their own, which lead to no others. One that is on its way out is none any more, and may stay on it
/// for long: what was fetched from it, and is not taken yet, keeps it.
static rd_bool_t has_none(rd_kafka_t *rk) {
  rd_bool_t none = rd_true;
  rd_kafka_rdlock(rk);
  rd_kafka_broker_t *broker;
  TAILQ_FOREACH(broker, &rk->rk_brokers, rkb_link) {
    if (!RD_KAFKA_BROKER_IS_LOGICAL(broker) && !rd_kafka_broker_termination_in_progress(broker)) none = rd_false;
  }
  rd_kafka_rdunlock(rk);
  return none;
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
