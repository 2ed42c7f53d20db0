// One question to every broker of the cluster.
//
// librdkafka's admin interface asks the coordinator of a group, and ends the process when that goes away in the middle (an
// assertion, up to 2.13 at least); who has a transaction open it does not ask at all. Its rd_kafka_list_groups asks all
// brokers, and this is done as there. It is compiled against the headers of the very library that is linked (build.rs), whose
// version Cargo.toml pins: look at rd_kafka_list_groups when that changes.

#include "rdkafka_int.h"
#include "rdkafka_broker.h"
#include "rdkafka_buf.h"
#include "rdkafka_op.h"
#include "rdkafka_queue.h"
#include "rdkafka_request.h"

/// Takes one broker's answer: librdkafka's error, or what comes behind the header. Not 0: the others' are not needed any more.
typedef int answer_t(void *opaque, int error, const uint8_t *bytes, size_t size);

typedef struct {
  answer_t *answer;
  void *opaque;
  int waiting;
  rd_bool_t enough;
} asked_t;

static void on_answer(rd_kafka_t *rk, rd_kafka_broker_t *broker, rd_kafka_resp_err_t err, rd_kafka_buf_t *reply,
                      rd_kafka_buf_t *request, void *opaque) {
  // Who asked waits no more, and what he gave is gone.
  if (err == RD_KAFKA_RESP_ERR__DESTROY) return;
  asked_t *asked = opaque;
  // It came together with the one that was enough: what is served at once is served to its end.
  if (asked->enough) return;
  size_t size = err ? 0 : rd_kafka_buf_read_remain(reply);
  uint8_t *bytes = rd_malloc(size + 1);
  if (size > 0) rd_slice_read(&reply->rkbuf_reader, bytes, size);
  asked->waiting--;
  if (asked->answer(asked->opaque, err, bytes, size)) asked->enough = rd_true;
  rd_free(bytes);
}

/// Until the client has heard once which brokers there are.
static rd_bool_t knows_brokers(rd_kafka_t *rk, rd_ts_t end) {
  while (1) {
    int version = rd_kafka_brokers_get_state_version(rk);
    rd_kafka_rdlock(rk);
    rd_bool_t known = rk->rk_ts_metadata != 0;
    rd_kafka_rdunlock(rk);
    if (known) return rd_true;
    if (!rd_kafka_brokers_wait_state_change(rk, version, rd_timeout_remains(end))) return rd_false;
  }
}

/// One of the cluster, not an address to begin with, nor a name for whoever is some coordinator.
static rd_bool_t is_member(rd_kafka_broker_t *broker) {
  if (rd_kafka_broker_or_instance_terminating(broker)) return rd_false;
  rd_kafka_broker_lock(broker);
  rd_bool_t is = broker->rkb_nodeid != -1 && !RD_KAFKA_BROKER_IS_LOGICAL(broker);
  rd_kafka_broker_unlock(broker);
  return is;
}

/// The first version of a request, which is a flexible one; `body` is what comes behind the header, without its tags.
static void ask(rd_kafka_broker_t *broker, int16_t api, const void *body, size_t size, int timeout_ms, rd_kafka_q_t *queue,
                asked_t *asked) {
  rd_kafka_buf_t *request = rd_kafka_buf_new_flexver_request(broker, api, 1, size, rd_true);
  rd_kafka_buf_write(request, body, size);
  rd_kafka_buf_ApiVersion_set(request, 0, 0);
  rd_kafka_buf_set_abs_timeout(request, timeout_ms, 0);
  request->rkbuf_max_retries = RD_KAFKA_REQUEST_NO_RETRIES;
  rd_kafka_broker_buf_enq_replyq(broker, request, RD_KAFKA_REPLYQ(queue, 0), on_answer, asked);
}

/// Hands each broker's answer over, on this thread, until one is enough, all have come, or the time is over. How many have not
/// answered; -1 where it is not even known whom to ask.
int headrace_ask_all(rd_kafka_t *rk, int16_t api, const void *body, size_t size, int timeout_ms, answer_t *answer,
                      void *opaque) {
  rd_ts_t end = rd_timeout_init(timeout_ms);
  if (!knows_brokers(rk, end)) return -1;
  asked_t asked = {answer, opaque, 0, rd_false};
  rd_kafka_q_t *queue = rd_kafka_q_new(rk);
  rd_kafka_broker_t *broker;
  rd_kafka_rdlock(rk);
  TAILQ_FOREACH(broker, &rk->rk_brokers, rkb_link) {
    if (!is_member(broker)) continue;
    asked.waiting++;
    ask(broker, api, body, size, timeout_ms, queue, &asked);
  }
  rd_kafka_rdunlock(rk);
  int left;
  while (asked.waiting > 0 && !asked.enough && !rd_timeout_expired(left = rd_timeout_remains(end))) {
    rd_kafka_q_serve(queue, left, 0, RD_KAFKA_Q_CB_CALLBACK, rd_kafka_poll_cb, NULL);
  }
  rd_kafka_q_destroy_owner(queue);
  return asked.waiting;
}
