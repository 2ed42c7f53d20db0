/* launch SCRATCH COMMAND ARGS...
 *
 * Becomes COMMAND (same pid), guarded by a small watcher process: when the standard input ends without a word, because
 * the process that started us stopped holding its other end (it ended, crashed or was killed by -9), COMMAND is killed
 * and the directory SCRATCH is removed. Any word on it means that COMMAND outlives its starter; SCRATCH is then removed
 * when COMMAND ends. COMMAND's own standard input never ends. An empty SCRATCH removes nothing. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void watch(pid_t server, int alive, const char *scratch) {
  struct pollfd p[2] = {{.fd = 0, .events = POLLIN}, {.fd = alive, .events = POLLIN}};
  int remove = 0;
  char word;
  setsid();
  signal(SIGHUP, SIG_IGN);
  /* A server that was killed takes the pipe to it along: only while it lives does the end of that mean an orphan. */
  while (poll(p, 2, -1) < 0 || !p[1].revents) {
    if (!p[0].revents) continue;
    remove = 1;
    if (read(0, &word, 1) < 1) kill(server, SIGKILL);
    p[0].fd = -1;
    p[0].revents = 0;
  }
  /* Both may have come at once: it was kept, and has ended since. Its pipe's mere end says nothing then. */
  if (p[0].revents & POLLIN && read(0, &word, 1) == 1) remove = 1;
  if (remove && *scratch) execlp("rm", "rm", "-rf", "--", scratch, (char *)0);
  _exit(0);
}

int main(int argc, char **argv) {
  if (argc < 3) return fprintf(stderr, "usage: launch SCRATCH COMMAND ARGS...\n"), 2;
  int alive[2], endless[2];
  pid_t server = getpid();
  /* The write end of `alive` is open in COMMAND for as long as it lives: the watcher reads its end from that. */
  if (pipe(alive) != 0 || pipe(endless) != 0) return perror("launch: pipe"), 1;
  pid_t watcher = fork();
  if (watcher < 0) return perror("launch: fork"), 1;
  if (watcher == 0) {
    close(alive[1]);
    close(endless[1]);
    watch(server, alive[0], argv[1]);
  }
  close(alive[0]);
  if (dup2(endless[0], 0) < 0) return perror("launch: dup2"), 1;
  execvp(argv[2], argv + 2);
  return fprintf(stderr, "launch: %s: %s\n", argv[2], strerror(errno)), 127;
}
