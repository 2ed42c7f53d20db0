// Many records of one topic into librdkafka's queues at once, each with its time.
//
// rd_kafka_produceva takes the clock twice and three mutexes and a read lock in turn for each record;
// rd_kafka_produce_batch has no place for a record's time. Here the topic is locked once a call, and each partition
// once. It is compiled against the headers of the very library that is linked (build.rs), whose version Cargo.toml
// pins: look at rd_kafka_msg_new0, rd_kafka_msg_partitioner and rd_kafka_toppar_enq_msg when that changes.

#include "slab.h"

#include "rdkafka_int.h"
#include "rdkafka_interceptor.h"
#include "rdkafka_msg.h"
#include "rdkafka_partition.h"
#include "rdkafka_topic.h"
#include "rdkafka_txnmgr.h"

/// As `Entry` in produce.rs. A null key or value has length 0; partition -1 is the partitioner's choice; time 0 is now.
typedef struct {
  const char *key;
  size_t key_length;
  const char *value;
  size_t value_length;
  int64_t time;
  int32_t partition;
} entry_t;

/// Of rdkafka_msg.c, which has no header for it.
int32_t rd_kafka_msg_sticky_partition(rd_kafka_topic_t *topic, const void *key, size_t length, int32_t partitions,
                                      void *topic_opaque, void *message_opaque);

/// Records that may be queued now go straight to their partitions: the topic and its partitions are known.
static rd_bool_t is_settled(const rd_kafka_topic_t *topic) {
  return topic->rkt_state == RD_KAFKA_TOPIC_S_EXISTS && topic->rkt_partition_cnt > 0 &&
         topic->rkt_conf.queuing_strategy == RD_KAFKA_QUEUE_FIFO;
}

/// Without a key the partition stays the same for a few milliseconds; not where every record is to have its own.
static rd_bool_t is_sticky(const rd_kafka_topic_t *topic, const entry_t *entry) {
  if (topic->rkt_conf.random_partitioner) return rd_false;
  return entry->key == NULL ||
         (entry->key_length == 0 && topic->rkt_conf.partitioner == rd_kafka_msg_partitioner_consistent_random);
}

/// The partition of an entry, or -1 where librdkafka is to refuse it.
static int32_t partition_of(rd_kafka_topic_t *topic, const entry_t *entry) {
  int32_t partitions = topic->rkt_partition_cnt;
  void *opaque = topic->rkt_conf.opaque;
  size_t size = rd_kafka_msg_max_wire_size(entry->key_length, entry->value_length, 0);
  if (size > (size_t)topic->rkt_rk->rk_conf.max_msg_size) return -1;
  if (entry->partition >= 0) return entry->partition < partitions ? entry->partition : -1;
  if (is_sticky(topic, entry)) {
    return rd_kafka_msg_sticky_partition(topic, entry->key, entry->key_length, partitions, opaque, NULL);
  }
  return topic->rkt_conf.partitioner(topic, entry->key, entry->key_length, partitions, opaque, NULL);
}

/// Copies part of a record to `at`; null stays null, and empty does not become it.
static char *copy(char *at, const char *part, size_t length) {
  if (part != NULL) memcpy(at, part, length);
  return part == NULL ? NULL : at;
}

static rd_kafka_msg_t *message_of(rd_kafka_topic_t *topic, slab_t *slab, const entry_t *entry, int32_t partition,
                                  rd_ts_t now) {
  rd_kafka_msg_t *message = slab_take(slab, entry->key_length, entry->value_length);
  char *bytes = (char *)(message + 1);
  message->rkm_payload = copy(bytes, entry->value, entry->value_length);
  message->rkm_len = entry->value_length;
  message->rkm_key = copy(bytes + entry->value_length, entry->key, entry->key_length);
  message->rkm_key_len = entry->key_length;
  message->rkm_partition = partition;
  message->rkm_broker_id = -1;
  message->rkm_offset = RD_KAFKA_OFFSET_INVALID;
  message->rkm_status = RD_KAFKA_MSG_STATUS_NOT_PERSISTED;
  message->rkm_timestamp = entry->time > 0 ? entry->time : rd_uclock() / 1000;
  message->rkm_tstype = RD_KAFKA_TIMESTAMP_CREATE_TIME;
  message->rkm_ts_enq = now;
  int64_t timeout_ms = topic->rkt_conf.message_timeout_ms;
  message->rkm_ts_timeout = timeout_ms == 0 ? INT64_MAX : now + timeout_ms * 1000;
  rd_kafka_interceptors_on_send(topic->rkt_rk, &message->rkm_rkmessage);
  return message;
}

/// Numbers the messages and appends them; a broker's thread that waits for them is woken as by one after the other.
static void append(rd_kafka_toppar_t *partition, rd_kafka_msgq_t *messages, rd_ts_t now) {
  rd_kafka_msg_t *message;
  rd_kafka_q_t *waiting = NULL;
  rd_kafka_msgq_t *queue = &partition->rktp_msgq;
  rd_atomic64_add(&partition->rktp_c.producer_enq_msgs, rd_kafka_msgq_len(messages));

  rd_kafka_toppar_lock(partition);
  rd_bool_t first = RD_KAFKA_MSGQ_EMPTY(queue) && queue->rkmq_wakeup.on_first && !queue->rkmq_wakeup.signalled;
  RD_KAFKA_MSGQ_FOREACH(message, messages) message->rkm_msgid = ++partition->rktp_msgid;
  rd_kafka_msgq_concat(queue, messages);
  if ((first || rd_kafka_msgq_may_wakeup(queue, now)) && (waiting = partition->rktp_msgq_wakeup_q) != NULL) {
    queue->rkmq_wakeup.signalled = rd_true;
    rd_kafka_q_keep(waiting);
  }
  rd_kafka_toppar_unlock(partition);

  if (waiting != NULL) {
    rd_kafka_q_yield(waiting);
    rd_kafka_q_destroy(waiting);
  }
  if (rd_kafka_is_transactional(partition->rktp_rkt->rkt_rk)) rd_kafka_txn_add_partition(partition);
}

/// With the topic locked and room in the queue for all of them.
static void distribute(rd_kafka_topic_t *topic, slab_t *slab, const entry_t *entries, const int32_t *partitions,
                       size_t count) {
  rd_ts_t now = rd_clock();
  rd_kafka_msgq_t *queues = rd_calloc(topic->rkt_partition_cnt, sizeof(*queues));
  for (int32_t i = 0; i < topic->rkt_partition_cnt; i++) rd_kafka_msgq_init(&queues[i]);
  for (size_t i = 0; i < count; i++) {
    rd_kafka_msgq_enq(&queues[partitions[i]], message_of(topic, slab, &entries[i], partitions[i], now));
  }
  for (int32_t i = 0; i < topic->rkt_partition_cnt; i++) {
    if (!RD_KAFKA_MSGQ_EMPTY(&queues[i])) append(topic->rkt_p[i], &queues[i], now);
  }
  rd_free(queues);
}

/// Queues copies of the first entries, in order, and returns how many; `partitions` is scratch memory for `count`. What
/// it does not take is rd_kafka_produceva's, which also says why one cannot be queued: no room, a topic that is not known
/// (yet), an error of the producer's, a record that is too large, a partition that is not there, a system without slabs.
size_t headrace_enqueue(rd_kafka_topic_t *handle, const entry_t *entries, int32_t *partitions, size_t count) {
#ifndef __linux__
  return 0;
#endif
  rd_kafka_topic_t *topic = rd_kafka_topic_proper(handle);
  rd_kafka_t *rk = topic->rkt_rk;
  if (rd_kafka_fatal_error_code(rk) != 0 || !rd_kafka_txn_may_enq_msg(rk)) return 0;

  rd_kafka_topic_rdlock(topic);
  size_t taken = 0, payload = 0, size = 0;
  while (is_settled(topic) && taken < count && (partitions[taken] = partition_of(topic, &entries[taken])) >= 0) {
    const entry_t *entry = &entries[taken++];
    payload += entry->value_length;
    size += slab_size_of(entry->key_length, entry->value_length);
  }
  if (taken > 0 && rd_kafka_curr_msgs_add(rk, taken, payload, 0, NULL) != 0) taken = 0;
  if (taken > 0) distribute(topic, slab_new(topic, taken, payload, size), entries, partitions, taken);
  rd_kafka_topic_rdunlock(topic);
  return taken;
}
