#include "runtime/watchdog.h"

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <new>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "runtime/activity.h"
#include "runtime/call_kind.h"
#include "runtime/context.h"
#include "runtime/context_access.h"
#include "runtime/time/clock.h"

namespace coaio {

using namespace internal;
namespace {}  // namespace

Watchdog::Watchdog(Context& context, WatchdogOptions options)
    : context_(context),
      options_(std::move(options)),
      activity_(ContextAccess(context).attach_watchdog()) {
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

// The thread belongs to the parent. Its handle and the condition variable are replaced and not
// destroyed: the destructor of the first would terminate, and that of the second would wait for the
// thread.
void Watchdog::abandon_thread() {
  new (&thread_) std::thread();
  new (&ended_) std::condition_variable();
}

Watchdog::~Watchdog() {
  if (context_.was_forked()) {
    abandon_thread();
    return;
  }
  if (thread_.joinable()) {
    {
      const std::lock_guard lock(mutex_);
      ending_ = true;
    }
    ended_.notify_one();
    thread_.join();
  }
  ContextAccess(context_).detach_watchdog();
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
          absl::StrCat(describe(call->info()), " has been running for ",
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
