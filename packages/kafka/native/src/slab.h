#pragma once

#include "rdkafka_int.h"
#include "rdkafka_msg.h"

/// Memory for the messages of one call, one after the other. librdkafka lets go of them one by one; the memory goes, and
/// the queue has its room back, with the last one. Only on Linux, whose linkers can put a function in another's place.
typedef struct slab_s slab_t;

/// For `count` messages of a topic, `payload` bytes of values as the queue counts them, and `size` bytes in all.
slab_t *slab_new(rd_kafka_topic_t *topic, size_t count, size_t payload, size_t size);

/// What a message takes of a slab.
static inline size_t slab_size_of(size_t key_length, size_t value_length) {
  return RD_ROUNDUP(sizeof(rd_kafka_msg_t) + key_length + value_length, sizeof(void *));
}

/// The next message, all of it zero but for what says where it stands; key and value have room behind it.
rd_kafka_msg_t *slab_take(slab_t *slab, size_t key_length, size_t value_length);
