// Runs turns with one active descriptor, for instructions.py to count what they take:
//   turns coaio|bare ppoll|epoll|io_uring one-shot|level|edge COUNT

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "absl/status/statusor.h"
#include "backends/backend.h"
#include "backends/fd_monitor.h"
#include "bench/backends/contender.h"
#include "bench/backends/load.h"

int main(int argc, char** argv) {
  using namespace coaio;
  using namespace coaio::bench;
  const absl::StatusOr<Backend> backend = parse_backend(argc == 5 ? argv[2] : "");
  for (const Trigger trigger : kTriggers) {
    if (backend.ok() && argv[3] == name_of(trigger)) {
      auto* const make = argv[1] == std::string_view("coaio") ? make_coaio : make_bare;
      Load load(make(*backend, trigger), trigger, 0, 1);
      for (int i = std::atoi(argv[4]); i > 0; --i) {
        load.turn();
      }
      return EXIT_SUCCESS;
    }
  }
  std::fprintf(stderr, "usage: turns coaio|bare ppoll|epoll|io_uring one-shot|level|edge COUNT\n");
  return EXIT_FAILURE;
}
