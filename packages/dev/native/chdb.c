/* chdb LIBRARY ARGS...: runs clickhouse-local, which is inside of LIBRARY (libchdb.so), with ARGS. */
#include <dlfcn.h>
#include <stdio.h>

int main(int argc, char **argv) {
  if (argc < 2) return fprintf(stderr, "usage: chdb LIBRARY ARGS...\n"), 2;
  void *library = dlopen(argv[1], RTLD_NOW | RTLD_GLOBAL);
  if (!library) return fprintf(stderr, "chdb: %s\n", dlerror()), 1;
  int (*run)(int, char **) = (int (*)(int, char **))dlsym(library, "chdb_query_cmdline");
  if (!run) return fprintf(stderr, "chdb: %s does not export chdb_query_cmdline\n", argv[1]), 1;
  argv[1] = "clickhouse-local";
  return run(argc - 1, argv + 1);
}
