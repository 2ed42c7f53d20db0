// Looks after a client for as long as it lives: see attend.h.

#include "rdkafka_int.h"
#include "rdkafka_timer.h"
#include "attend.h"

#define EVERY_US (250 * 1000)

static void attend(rd_kafka_timers_t *timers, void *opaque) {
  rd_kafka_t *rk = timers->rkts_rk;
  if (rd_kafka_terminating(rk)) return;
  headrace_begin_again(rk);
  headrace_look_for_coordinators(rk);
  headrace_say_all(rk);
}

/// To be called once for a client. What it returns is to be freed when the client is destroyed, not before.
void *headrace_attend(rd_kafka_t *rk) {
  rd_kafka_timer_t *timer = rd_calloc(1, sizeof(*timer));
  rd_kafka_timer_start(&rk->rk_timers, timer, EVERY_US, attend, NULL);
  return timer;
}
