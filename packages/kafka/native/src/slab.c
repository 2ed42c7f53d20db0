// Where messages stand, and how they are let go. The linker puts each function with __wrap before its name in the place of
// librdkafka's (build.rs), for all calls from other files of librdkafka than its own. When that changes, look at
// rd_kafka_msg_destroy, rd_kafka_dr_msgq0 and rd_kafka_msgbatch_handle_Produce_result.

#include "slab.h"

#include "rdkafka_interceptor.h"
#include "rdkafka_topic.h"

#include <pthread.h>

/// Of a message that stands in a slab, beside librdkafka's flags.
#define IN_SLAB 0x10000000

struct slab_s {
  /// Messages that are not let go yet.
  rd_atomic32_t left;
  unsigned int count;
  size_t payload;
  rd_kafka_topic_t *topic;
  /// Where the next message will stand.
  char *next;
  rd_bool_t is_standard;
  /// While it is kept.
  slab_t *following;
};

/// Slabs of one size are kept for the next calls: the allocator would give memory of this size back to the system, which
/// then has to clear each of its pages once more. It is enough for RUN records (produce.rs) of half a kilobyte.
#define STANDARD_SIZE (256 << 10)
/// Up to here a slab has the size that it needs.
#define SMALL_SIZE (32 << 10)
/// What all producers of the process keep: 32 MB.
#define KEPT_MOST 128

static pthread_mutex_t kept_lock = PTHREAD_MUTEX_INITIALIZER;
static slab_t *kept;
static int kept_count;

static slab_t *standard_slab(void) {
  pthread_mutex_lock(&kept_lock);
  slab_t *slab = kept;
  if (slab != NULL) {
    kept = slab->following;
    kept_count--;
  }
  pthread_mutex_unlock(&kept_lock);
  return slab != NULL ? slab : rd_malloc(STANDARD_SIZE);
}

/// False where enough are kept already.
static rd_bool_t keep(slab_t *slab) {
  pthread_mutex_lock(&kept_lock);
  rd_bool_t has_room = kept_count < KEPT_MOST;
  if (has_room) {
    slab->following = kept;
    kept = slab;
    kept_count++;
  }
  pthread_mutex_unlock(&kept_lock);
  return has_room;
}

slab_t *slab_new(rd_kafka_topic_t *topic, size_t count, size_t payload, size_t size) {
  size += sizeof(slab_t);
  rd_bool_t is_standard = size > SMALL_SIZE && size <= STANDARD_SIZE;
  slab_t *slab = is_standard ? standard_slab() : rd_malloc(size);
  rd_atomic32_init(&slab->left, (int32_t)count);
  slab->count = (unsigned int)count;
  slab->payload = payload;
  slab->topic = rd_kafka_topic_keep(topic);
  slab->next = (char *)(slab + 1);
  slab->is_standard = is_standard;
  return slab;
}

rd_kafka_msg_t *slab_take(slab_t *slab, size_t key_length, size_t value_length) {
  rd_kafka_msg_t *message = (rd_kafka_msg_t *)slab->next;
  slab->next += slab_size_of(key_length, value_length);
  memset(message, 0, sizeof(*message));
  message->rkm_flags = RD_KAFKA_MSG_F_PRODUCER | IN_SLAB;
  message->rkm_opaque = slab;
  message->rkm_rkmessage.rkt = slab->topic;
  return message;
}

#ifdef __linux__

/// One message less. With the last one the queue has its room back, and the memory goes.
static void let_go(slab_t *slab) {
  if (rd_atomic32_sub(&slab->left, 1) > 0) return;
  rd_kafka_curr_msgs_sub(slab->topic->rkt_rk, slab->count, slab->payload);
  rd_kafka_topic_destroy0(slab->topic);
  if (!slab->is_standard || !keep(slab)) rd_free(slab);
}

void __real_rd_kafka_msg_destroy(rd_kafka_t *rk, rd_kafka_msg_t *message);

/// librdkafka's takes a mutex, counts the topic's users and frees memory for each message, on another processor's arena.
void __wrap_rd_kafka_msg_destroy(rd_kafka_t *rk, rd_kafka_msg_t *message) {
  if ((message->rkm_flags & IN_SLAB) == 0) return __real_rd_kafka_msg_destroy(rk, message);
  if (message->rkm_headers != NULL) rd_kafka_headers_destroy(message->rkm_headers);
  let_go(message->rkm_opaque);
}

/// Somebody wants to know of each message that was delivered.
static rd_bool_t is_watched(const rd_kafka_t *rk) {
  return !rk->rk_conf.dr_err_only || !rd_list_empty(&rk->rk_conf.interceptors.on_acknowledgement);
}

void __real_rd_kafka_interceptors_on_acknowledgement_queue(rd_kafka_t *rk, rd_kafka_msgq_t *messages,
                                                           rd_kafka_resp_err_t error);

/// librdkafka's goes through all messages, which are in no cache any more, also where nobody is to be told.
void __wrap_rd_kafka_interceptors_on_acknowledgement_queue(rd_kafka_t *rk, rd_kafka_msgq_t *messages,
                                                           rd_kafka_resp_err_t error) {
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR && !is_watched(rk)) return;
  __real_rd_kafka_interceptors_on_acknowledgement_queue(rk, messages, error);
}

void __real_rd_kafka_msgq_set_metadata(rd_kafka_msgq_t *messages, int32_t broker, int64_t offset, int64_t time,
                                       rd_kafka_msg_status_t status);

/// As above: where a message stands on the broker is for those who are told of it, and what is delivered is let go next.
void __wrap_rd_kafka_msgq_set_metadata(rd_kafka_msgq_t *messages, int32_t broker, int64_t offset, int64_t time,
                                       rd_kafka_msg_status_t status) {
  const rd_kafka_msg_t *first = rd_kafka_msgq_first(messages);
  if (first == NULL) return;
  if (status == RD_KAFKA_MSG_STATUS_PERSISTED && !is_watched(first->rkm_rkmessage.rkt->rkt_rk)) return;
  __real_rd_kafka_msgq_set_metadata(messages, broker, offset, time, status);
}

#endif
