#include "tests/support/fake_monitor.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "backends/check.h"
#include "backends/events.h"
#include "backends/fd_monitor.h"

namespace coaio::testing {

using namespace internal;

FakeMonitor::FakeMonitor()
    : look_([this](int fd, Events) {
        const auto shown = shown_.find(fd);
        return shown == shown_.end() ? Events::kNone : shown->second;
      }),
      sleep_([](std::chrono::nanoseconds timeout) {
        check(timeout != kForever,
              "a fake wait would sleep for ever: show() something, or on_sleep()");
        return timeout;
      }) {}

void FakeMonitor::arm(int fd, Key key, Events interest, Trigger trigger) {
  const Watch* old = find(key);
  check(old == nullptr || (old->fd == fd && old->trigger == trigger),
        "a watch is armed again with another descriptor or trigger: disarm it first");
  const Events wanted = old == nullptr ? Events::kNone : old->wanted & interest;
  const Events lasting = old == nullptr ? Events::kNone : old->lasting;
  watches_[key.slot] = {fd, key.generation, trigger, interest, wanted, lasting};
}

void FakeMonitor::want(Key key, Events interest) {
  if (Watch* watch = find(key)) {
    watch->wanted |= interest & watch->interest;
  }
}

void FakeMonitor::disarm(Key key) {
  if (find(key) != nullptr) {
    watches_.erase(key.slot);
  }
}

absl::Status FakeMonitor::wait(std::chrono::nanoseconds timeout, std::vector<FdEvent>& ready) {
  ++waits_;
  if (!refusal_.ok()) {
    return refusal_;
  }
  const std::size_t before = ready.size();
  report(ready);
  while (ready.size() == before && timeout.count() > 0) {
    const std::chrono::nanoseconds slept = sleep_(timeout);
    if (slept.count() == 0) {
      break;
    }
    timeout -= timeout == kForever ? std::chrono::nanoseconds(0) : slept;
    report(ready);
  }
  return absl::OkStatus();
}

Peek FakeMonitor::peek() const {
  const bool ready = std::any_of(watches_.begin(), watches_.end(),
                                 [this](const auto& entry) { return any(seen_on(entry.second)); });
  return ready ? Peek::kReady : Peek::kNothing;
}

absl::StatusOr<int> FakeMonitor::pollable_fd() {
  return absl::UnimplementedError("a fake has no descriptor");
}

FakeMonitor::Watch* FakeMonitor::find(Key key) {
  const auto entry = watches_.find(key.slot);
  return entry != watches_.end() && entry->second.generation == key.generation ? &entry->second
                                                                               : nullptr;
}

// What a wait would report of this watch. An edge-triggered watch reports what is wanted:
// other reports are allowed, but not required.
Events FakeMonitor::seen_on(const Watch& watch) const {
  Events asked = watch.interest;
  if (watch.trigger == Trigger::kEdge) {
    asked = watch.wanted;
    if (any(asked & Events::kIn)) {
      asked |= watch.interest & Events::kReadHangUp;
    }
  }
  const Events seen = any(asked) ? look_(watch.fd, asked) & (asked | kFailure) : Events::kNone;
  return any(seen & ~watch.lasting) ? seen : Events::kNone;
}

void FakeMonitor::report(std::vector<FdEvent>& ready) {
  for (auto& [slot, watch] : watches_) {
    if (any(watch.lasting)) {
      watch.lasting &= look_(watch.fd, Events::kNone);
    }
    const Events events = seen_on(watch);
    if (!any(events)) {
      continue;
    }
    ready.push_back({.key = {slot, watch.generation}, .events = events});
    watch.wanted = any(events & kFailure) ? Events::kNone : watch.wanted & ~events;
    if (watch.trigger == Trigger::kEdge) {
      watch.lasting = events & kFailure;
    }
    if (watch.trigger == Trigger::kOneShot || any(events & Events::kInvalid)) {
      watch.interest = Events::kNone;
    }
  }
}

}  // namespace coaio::testing
