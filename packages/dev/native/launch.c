/* launch LIFELINE GRACE_MS SCRATCH COMMAND ARGS...
 *
 * Becomes COMMAND (same pid), guarded by a small watcher process: when the standard input ends, because the process that
 * started us stopped holding its other end (it ended, crashed or was killed by -9), COMMAND is given GRACE_MS to end by
 * itself and is then killed, and the directory SCRATCH is removed. LIFELINE "none": COMMAND outlives its starter, its
 * standard input never ends, and SCRATCH is removed when COMMAND ends. An empty SCRATCH removes nothing. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int ended(int fd, int timeout_ms) {
  struct pollfd p = {.fd = fd, .events = POLLIN};
  int n;
  do n = poll(&p, 1, timeout_ms);
  while (n < 0 && errno == EINTR);
  return n != 0;
}

static void watch(pid_t server, int lifeline, int alive, int grace_ms, const char *scratch) {
  struct pollfd p[2] = {{.fd = lifeline, .events = POLLIN}, {.fd = alive, .events = POLLIN}};
  setsid();
  signal(SIGHUP, SIG_IGN);
  while (poll(p, 2, -1) < 0 && errno == EINTR);
  int orphaned = lifeline < 0 || p[0].revents != 0;
  if (!p[1].revents && !ended(alive, grace_ms)) {
    kill(server, SIGKILL);
    ended(alive, -1);
  }
  if (orphaned && *scratch) execlp("rm", "rm", "-rf", "--", scratch, (char *)0);
  _exit(0);
}

int main(int argc, char **argv) {
  if (argc < 5) return fprintf(stderr, "usage: launch stdin|none GRACE_MS SCRATCH COMMAND ARGS...\n"), 2;
  int kept = strcmp(argv[1], "none") == 0, alive[2], endless[2];
  pid_t server = getpid();
  /* The write end of `alive` is open in COMMAND for as long as it lives: the watcher reads its end from that. */
  if (pipe(alive) != 0) return perror("launch: pipe"), 1;
  if (kept && (pipe(endless) != 0 || dup2(endless[0], 0) < 0)) return perror("launch: pipe"), 1;
  pid_t watcher = fork();
  if (watcher < 0) return perror("launch: fork"), 1;
  if (watcher == 0) {
    close(alive[1]);
    if (kept) close(endless[1]);
    watch(server, kept ? -1 : 0, alive[0], atoi(argv[2]), argv[3]);
  }
  close(alive[0]);
  execvp(argv[4], argv + 4);
  return fprintf(stderr, "launch: %s: %s\n", argv[4], strerror(errno)), 127;
}
