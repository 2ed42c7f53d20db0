/* Steps the clock of one process: LD_PRELOAD=clock.so CHAOS_CLOCK=FILE program. The file holds one long, the
 * milliseconds that the wall clock is off by; whoever writes it steps the clock. Time that only passes (CLOCK_MONOTONIC)
 * is left alone, as in a real step. The kernel's own clock stays right: waits until a moment by the wall clock are handed
 * to it in its terms. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

static const volatile long *offset_ms;
static int (*real_clock_gettime)(clockid_t, struct timespec *);

__attribute__((constructor)) static void begin(void) {
  const char *file = getenv("CHAOS_CLOCK");
  real_clock_gettime = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
  int fd = file ? open(file, O_RDONLY | O_CLOEXEC) : -1;
  if (fd < 0) return;
  void *map = mmap(0, sizeof(long), PROT_READ, MAP_SHARED, fd, 0);
  if (map != MAP_FAILED) offset_ms = map;
  close(fd);
}

static void shift(struct timespec *time, long ms) {
  long long ns = time->tv_nsec + (ms % 1000) * 1000000LL;
  time->tv_sec += ms / 1000 + (ns < 0 ? -1 : ns / 1000000000);
  time->tv_nsec = ns < 0 ? ns + 1000000000 : ns % 1000000000;
}

/* Moments since the machine's start are far below those since 1970. */
static const struct timespec *kernels(const struct timespec *until, struct timespec *mine) {
  if (!offset_ms || until->tv_sec < 1000000000) return until;
  *mine = *until;
  shift(mine, -*offset_ms);
  return mine;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
  if (!real_clock_gettime) begin();
  int failed = real_clock_gettime(clock, now);
  if (!failed && offset_ms && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) shift(now, *offset_ms);
  return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
  struct timespec precise;
  (void)zone;
  if (clock_gettime(CLOCK_REALTIME, &precise)) return -1;
  now->tv_sec = precise.tv_sec;
  now->tv_usec = precise.tv_nsec / 1000;
  return 0;
}

time_t time(time_t *now) {
  struct timespec precise;
  clock_gettime(CLOCK_REALTIME, &precise);
  if (now) *now = precise.tv_sec;
  return precise.tv_sec;
}

int pthread_cond_timedwait(pthread_cond_t *restrict cond, pthread_mutex_t *restrict mutex,
                           const struct timespec *restrict until) {
  static int (*real)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
  struct timespec mine;
  /* By its version: the oldest one, which a plain dlsym may find, has another layout. */
  if (!real) real = dlvsym(RTLD_NEXT, "pthread_cond_timedwait", "GLIBC_2.3.2");
  if (!real) real = dlsym(RTLD_NEXT, "pthread_cond_timedwait");
  return real(cond, mutex, kernels(until, &mine));
}

int cnd_timedwait(cnd_t *restrict cond, mtx_t *restrict mutex, const struct timespec *restrict until) {
  static int (*real)(cnd_t *, mtx_t *, const struct timespec *);
  struct timespec mine;
  if (!real) real = dlsym(RTLD_NEXT, "cnd_timedwait");
  return real(cond, mutex, kernels(until, &mine));
}
