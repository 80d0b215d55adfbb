// Runs turns with one active descriptor, for instructions.py to count what they take:
//   turns coaio|bare|nothing ppoll|epoll|io_uring one-shot|level|edge COUNT
// What nothing takes is the share of the load itself: to make edges ready, and to count.

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string_view>

#include "absl/status/statusor.h"
#include "backends/backend.h"
#include "backends/fd_monitor.h"
#include "bench/backends/contender.h"
#include "bench/backends/load.h"

namespace coaio::bench {
namespace {

class Nothing final : public Contender {
 public:
  void watch(int) override {}
  std::size_t wait() override { return 1; }
  void watch_and_forget(int) override {}
};

std::unique_ptr<Contender> make(std::string_view name, Backend backend, Trigger trigger) {
  if (name == "nothing") {
    return std::make_unique<Nothing>();
  }
  return name == "coaio" ? make_coaio(backend, trigger) : make_bare(backend, trigger);
}

}  // namespace
}  // namespace coaio::bench

int main(int argc, char** argv) {
  using namespace coaio;
  using namespace coaio::bench;
  const absl::StatusOr<Backend> backend = parse_backend(argc == 5 ? argv[2] : "");
  for (const Trigger trigger : kTriggers) {
    if (backend.ok() && argv[3] == name_of(trigger)) {
      Load load(make(argv[1], *backend, trigger), trigger, 0, 1);
      for (int i = std::atoi(argv[4]); i > 0; --i) {
        load.turn();
      }
      return EXIT_SUCCESS;
    }
  }
  std::fprintf(stderr,
               "usage: turns coaio|bare|nothing ppoll|epoll|io_uring one-shot|level|edge COUNT\n");
  return EXIT_FAILURE;
}
