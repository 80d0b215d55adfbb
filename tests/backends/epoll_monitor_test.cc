// Behaviour of the epoll back end beyond the contract: the epoll instance that must be replaced,
// and the outer one.

#include "backends/epoll_monitor.h"

#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "backends/events.h"
#include "backends/fd_monitor.h"
#include "backends/unique_fd.h"
#include "doctest/doctest.h"
#include "tests/support/child.h"
#include "tests/support/descriptors.h"
#include "tests/support/watcher.h"

namespace coaio::testing {

using namespace internal;
namespace {

std::unique_ptr<FdMonitor> make_monitor() {
  absl::StatusOr<std::unique_ptr<FdMonitor>> monitor = make_epoll_monitor();
  REQUIRE(monitor.ok());
  return *std::move(monitor);
}

bool readable(int fd) {
  pollfd entry{.fd = fd, .events = POLLIN, .revents = 0};
  return poll(&entry, 1, 0) == 1;
}

// Leaves a dead watch in the epoll instance: its descriptor is closed, and its file stays open
// under the returned descriptor.
UniqueFd leave_dead_watch(FdMonitor& monitor, Pair& pair, Key key) {
  monitor.arm(pair.a.get(), key, Events::kIn, Trigger::kLevel);
  CHECK(Watcher(monitor).quiet());
  UniqueFd twin = checked(dup(pair.a.get()));
  pair.a.reset();
  monitor.disarm(key);
  CHECK(Watcher(monitor).quiet());
  return twin;
}

TEST_CASE("a set with dead watches is rebuilt with the live ones, whatever their trigger") {
  const std::unique_ptr<FdMonitor> monitor = make_monitor();
  std::vector<Pair> pairs;
  for (std::uint32_t slot = 0; slot < 3; ++slot) {
    pairs.push_back(make_unix_pair());
    monitor->arm(pairs.back().a.get(), {slot, 1}, Events::kIn, static_cast<Trigger>(slot));
  }
  Pair dead[2] = {make_unix_pair(), make_unix_pair()};
  const UniqueFd first = leave_dead_watch(*monitor, dead[0], {10, 1});
  const UniqueFd second = leave_dead_watch(*monitor, dead[1], {11, 1});
  write_all(dead[0].b, "x");
  write_all(dead[1].b, "x");
  Watcher watcher(*monitor);
  watcher.settle();
  CHECK(watcher.quiet());
  for (std::uint32_t slot = 0; slot < 3; ++slot) {
    write_all(pairs[slot].b, "x");
    CHECK(watcher.next_of({slot, 1}) == Events::kIn);
    read_all(pairs[slot].a);
  }
}

TEST_CASE("events of the batch in which a dead watch shows are delivered") {
  const std::unique_ptr<FdMonitor> monitor = make_monitor();
  const Pair live = make_unix_pair();
  monitor->arm(live.a.get(), {0, 1}, Events::kIn, Trigger::kOneShot);
  Pair dead = make_unix_pair();
  const UniqueFd twin = leave_dead_watch(*monitor, dead, {1, 1});
  write_all(dead.b, "x");
  write_all(live.b, "x");
  Watcher watcher(*monitor);
  CHECK(watcher.next_of({0, 1}) == Events::kIn);
  CHECK(watcher.quiet());
}

TEST_CASE("a wait that was too small for what is ready is followed by one that is not") {
  constexpr std::uint32_t kCount = 200;
  const std::unique_ptr<FdMonitor> monitor = make_monitor();
  const UniqueFd event = make_eventfd(1);
  std::vector<UniqueFd> twins;
  for (std::uint32_t slot = 0; slot < kCount; ++slot) {
    twins.push_back(checked(dup(event.get())));
    monitor->arm(twins.back().get(), {slot, 1}, Events::kIn, Trigger::kLevel);
  }
  Watcher watcher(*monitor);
  CHECK(watcher.next().size() < kCount);
  CHECK(watcher.next().size() == kCount);
}

TEST_CASE("the pollable descriptor stays when the set is rebuilt") {
  const std::unique_ptr<FdMonitor> monitor = make_monitor();
  const absl::StatusOr<int> pollable = monitor->pollable_fd();
  REQUIRE(pollable.ok());
  const Pair live = make_unix_pair();
  monitor->arm(live.a.get(), {0, 1}, Events::kIn, Trigger::kLevel);
  Pair dead = make_unix_pair();
  const UniqueFd twin = leave_dead_watch(*monitor, dead, {1, 1});
  write_all(dead.b, "x");
  CHECK(readable(*pollable));
  Watcher(*monitor).settle();
  CHECK_FALSE(readable(*pollable));
  write_all(live.b, "x");
  CHECK(readable(*pollable));
}

// The child has both epoll instances, the outer one and the old inner one.
TEST_CASE("the pollable descriptor forgets a set that a forked child keeps open") {
  const std::unique_ptr<FdMonitor> monitor = make_monitor();
  const absl::StatusOr<int> pollable = monitor->pollable_fd();
  REQUIRE(pollable.ok());
  Pair pair = make_unix_pair();
  monitor->arm(pair.a.get(), {0, 1}, Events::kIn, Trigger::kLevel);
  Watcher watcher(*monitor);
  CHECK(watcher.quiet());
  const IdleChild child;
  pair.a.reset();
  monitor->disarm({0, 1});
  write_all(pair.b, "x");
  watcher.settle();
  CHECK_FALSE(readable(*pollable));
}

// Epoll instances that watch each other, as deep as the kernel allows.
std::vector<UniqueFd> make_deepest_sets() {
  std::vector<UniqueFd> sets;
  sets.push_back(checked(epoll_create1(EPOLL_CLOEXEC)));
  for (;;) {
    UniqueFd outer = checked(epoll_create1(EPOLL_CLOEXEC));
    epoll_event interest{.events = EPOLLIN, .data = {}};
    if (epoll_ctl(outer.get(), EPOLL_CTL_ADD, sets.back().get(), &interest) != 0) {
      REQUIRE(errno == ELOOP);
      return sets;
    }
    sets.push_back(std::move(outer));
  }
}

TEST_CASE("what epoll cannot watch is invalid, and the other watches go on") {
  const std::unique_ptr<FdMonitor> monitor = make_monitor();
  const std::vector<UniqueFd> sets = make_deepest_sets();
  const Pair pair = make_unix_pair();
  monitor->arm(sets.back().get(), {0, 1}, Events::kIn, Trigger::kLevel);
  monitor->arm(pair.a.get(), {1, 1}, Events::kIn, Trigger::kLevel);
  Watcher watcher(*monitor);
  CHECK(watcher.next_of({0, 1}) == Events::kInvalid);
  CHECK(watcher.quiet());
  write_all(pair.b, "x");
  CHECK(watcher.next_of({1, 1}) == Events::kIn);
}

}  // namespace
}  // namespace coaio::testing
