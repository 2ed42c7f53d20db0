/* chdb LIBRARY ARGS...: runs clickhouse-local, which is inside of LIBRARY (libchdb.so), with ARGS. */
#include <dlfcn.h>
#include <stdio.h>

int main(int argc, char **argv) {
  if (argc < 2) return fprintf(stderr, "usage: chdb LIBRARY ARGS...\n"), 2;
  void *library = dlopen(argv[1], RTLD_NOW | RTLD_GLOBAL);
  if (!library) return fprintf(stderr, "chdb: %s\n", dlerror()), 1;
  void *(*run)(int, char **) = (void *(*)(int, char **))dlsym(library, "chdb_query_cmdline");
  const char *(*error_of)(void *) = (const char *(*)(void *))dlsym(library, "chdb_result_error");
  if (!run || !error_of) return fprintf(stderr, "chdb: %s has no command line\n", argv[1]), 1;
  argv[1] = "clickhouse-local";
  void *result = run(argc - 1, argv + 1);
  const char *error = result ? error_of(result) : "no result";
  if (error) fprintf(stderr, "%s\n", error);
  return error ? 1 : 0;
}
