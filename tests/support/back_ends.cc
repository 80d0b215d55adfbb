#include "tests/support/back_ends.h"

#include <poll.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <functional>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "backends/epoll_monitor.h"
#include "backends/events.h"
#include "backends/fd_monitor.h"
#include "backends/io_uring_monitor.h"
#include "backends/ppoll_monitor.h"
#include "doctest/doctest.h"
#include "tests/support/fake_monitor.h"

namespace coaio::testing {

using namespace internal;
namespace {

Events look_with_poll(int fd, Events asked) {
  pollfd entry{.fd = fd, .events = static_cast<short>(asked), .revents = 0};
  const int count = ::poll(&entry, 1, 0);
  return count == 1 ? static_cast<Events>(entry.revents) : Events::kNone;
}

// Sleeps for at most one step: after each step the monitor probes its descriptors.
std::chrono::nanoseconds sleep_a_step(std::chrono::nanoseconds timeout) {
  const auto begin = std::chrono::steady_clock::now();
  const auto step = std::min<std::chrono::nanoseconds>(timeout, std::chrono::microseconds(100));
  const timespec limit{.tv_sec = 0, .tv_nsec = static_cast<long>(step.count())};
  const bool interrupted = ::ppoll(nullptr, 0, &limit, nullptr) < 0;
  return interrupted ? std::chrono::nanoseconds(0) : std::chrono::steady_clock::now() - begin;
}

}  // namespace

const std::vector<BackEnd>& all_back_ends() {
  static const auto& back_ends = *new std::vector<BackEnd>{
      {"ppoll", [] { return make_ppoll_monitor(); }},
      {"epoll", [] { return make_epoll_monitor(); }},
      {"io_uring", [] { return make_io_uring_monitor(); }},
      {"io_uring, cooperative", [] { return make_io_uring_monitor({.rung = 1}); }},
      {"io_uring, oldest flags", [] { return make_io_uring_monitor({.rung = 2}); }},
      {"io_uring, tiny rings",
       [] { return make_io_uring_monitor({.submissions = 2, .completions = 2}); }},
      {"fake on poll", [] { return std::make_unique<FakeMonitor>(look_with_poll, sleep_a_step); }},
  };
  return back_ends;
}

void on_every_back_end(const std::function<void(FdMonitor&)>& clause) {
  for (const BackEnd& back_end : all_back_ends()) {
    absl::StatusOr<std::unique_ptr<FdMonitor>> monitor = back_end.make();
    if (monitor.ok()) {
      INFO("back end: ", back_end.name);
      clause(**monitor);
    }
  }
}

}  // namespace coaio::testing
