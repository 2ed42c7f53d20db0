/* launch LIFELINE SCRATCH COMMAND ARGS...
 *
 * Becomes COMMAND (same pid), guarded by a small watcher process: when the standard input ends, because the process that
 * started us stopped holding its other end (it ended, crashed or was killed by -9), COMMAND is killed and
 * the directory SCRATCH is removed. LIFELINE "none": COMMAND outlives its starter, its
 * standard input never ends, and SCRATCH is removed when COMMAND ends. An empty SCRATCH removes nothing. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void watch(pid_t server, int lifeline, int alive, const char *scratch) {
  struct pollfd p[2] = {{.fd = lifeline, .events = POLLIN}, {.fd = alive, .events = POLLIN}};
  setsid();
  signal(SIGHUP, SIG_IGN);
  while (poll(p, 2, -1) < 0 && errno == EINTR);
  /* A server that was killed takes its standard input with it: only while it lives does the end of that mean an orphan. */
  int orphaned = lifeline < 0 || (p[0].revents != 0 && p[1].revents == 0);
  if (!p[1].revents) {
    kill(server, SIGKILL);
    while (poll(p + 1, 1, -1) < 0 && errno == EINTR);
  }
  if (orphaned && *scratch) execlp("rm", "rm", "-rf", "--", scratch, (char *)0);
  _exit(0);
}

int main(int argc, char **argv) {
  if (argc < 4) return fprintf(stderr, "usage: launch stdin|none SCRATCH COMMAND ARGS...\n"), 2;
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
    watch(server, kept ? -1 : 0, alive[0], argv[2]);
  }
  close(alive[0]);
  execvp(argv[3], argv + 3);
  return fprintf(stderr, "launch: %s: %s\n", argv[3], strerror(errno)), 127;
}
