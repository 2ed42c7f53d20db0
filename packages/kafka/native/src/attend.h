#ifndef HEADRACE_ATTEND_H
#define HEADRACE_ATTEND_H

#include "rdkafka_int.h"

// What a client needs that librdkafka does not do for it. Each is called on librdkafka's main thread, whose the structures are, four
// times a second, and does nothing for clients that it does not concern.

void headrace_begin_again(rd_kafka_t *rk);
void headrace_look_for_coordinators(rd_kafka_t *rk);
void headrace_say_all(rd_kafka_t *rk);

#endif
