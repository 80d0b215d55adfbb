#include "runtime/watchdog.h"

#include <chrono>
#include <cstddef>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "runtime/activity.h"
#include "runtime/context.h"
#include "runtime/time/clock.h"

namespace coaio {
namespace {

std::string describe(const Activity::Call& call) {
  const std::string name = call.name == nullptr ? "" : absl::StrCat("\"", call.name, "\"");
  switch (call.step) {
    case Activity::Step::kBottomHalf:
      return name.empty() ? "a bottom half" : absl::StrCat("the bottom half ", name);
    case Activity::Step::kIdle:
      return name.empty() ? "an idle bottom half" : absl::StrCat("the idle bottom half ", name);
    case Activity::Step::kHandler:
      return absl::StrCat("the handler of descriptor ", call.fd,
                          name.empty() ? "" : absl::StrCat(" (", name, ")"));
    case Activity::Step::kSource:
      return call.fd < 0 ? "a poll source"
                         : absl::StrCat("the poll source with doorbell ", call.fd);
    case Activity::Step::kTimer:
      return "a timer";
    case Activity::Step::kTask:
      break;
  }
  return "a task";
}

}  // namespace

Watchdog::Watchdog(Context& context, WatchdogOptions options)
    : context_(context), options_(std::move(options)), activity_(context.watch()) {
  if (options_.report == nullptr) {
    options_.report = [&context](const std::string& sentence) { context.tell_sink(sentence); };
  }
  if (options_.clock == nullptr) {
    options_.clock = &Clock::steady();
  }
  if (options_.own_thread) {
    thread_ = std::thread([this] { check_until_ended(); });
  }
}

Watchdog::~Watchdog() {
  if (thread_.joinable()) {
    {
      const std::lock_guard lock(mutex_);
      ending_ = true;
    }
    ended_.notify_one();
    thread_.join();
  }
  context_.unwatch();
}

void Watchdog::check() {
  const TimePoint now = options_.clock->now();
  const std::size_t depth = activity_.depth();
  for (std::size_t i = 0; i < depth; ++i) {
    const std::optional<Activity::Call> call = activity_.look(i);
    if (!call.has_value()) {
      return;
    }
    Seen& seen = seen_[i];
    if (seen.number != call->number) {
      seen = {.number = call->number, .since = now, .reported = false};
    }
    const std::chrono::nanoseconds age = now - seen.since;
    if (age >= options_.limit && !std::exchange(seen.reported, true)) {
      const bool nested = i + 1 < depth || activity_.waiting();
      options_.report(
          absl::StrCat(describe(*call), " has been running for ",
                       std::chrono::duration_cast<std::chrono::milliseconds>(age).count(), " ms",
                       nested ? ", and waits in a turn that it nests" : ""));
    }
  }
}

void Watchdog::check_until_ended() {
  std::unique_lock lock(mutex_);
  while (!ended_.wait_for(lock, options_.limit / 4, [this] { return ending_; })) {
    check();
  }
}

}  // namespace coaio
