// FakePollSource: a poll source whose readiness is a flag, and which writes down what it is told.

#ifndef COAIO_TESTS_SUPPORT_FAKE_POLL_SOURCE_H_
#define COAIO_TESTS_SUPPORT_FAKE_POLL_SOURCE_H_

#include <sys/eventfd.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <string>

#include "absl/functional/any_invocable.h"
#include "backends/unique_fd.h"
#include "doctest/doctest.h"
#include "runtime/context.h"
#include "runtime/poll_source.h"
#include "runtime/polling/poll_policy.h"
#include "tests/support/contexts.h"

namespace coaio::testing {

// Ready while `full` is set, as a message ring is while it holds a message. Each hook runs in the
// call that it is named for; on_ready() empties the source unless its hook is set.
class FakePollSource final : public PollSource {
 public:
  FakePollSource() = default;
  explicit FakePollSource(const UniqueFd& doorbell) : PollSource(doorbell.get()) {}

  bool poll() override {
    ++polls;
    return full.load(std::memory_order_acquire);
  }
  void poll_begin() override {
    log += 'b';
    call(at_begin);
  }
  void poll_end() override {
    log += 'e';
    call(at_end);
  }
  void on_ready() override {
    log += 'r';
    if (at_ready != nullptr) {
      at_ready();
    } else {
      full = false;
    }
  }

  std::atomic<bool> full{false};
  int polls = 0;
  std::string log;  // a letter for each call: b(egin), e(nd), r(eady)
  absl::AnyInvocable<void()> at_begin;
  absl::AnyInvocable<void()> at_end;
  absl::AnyInvocable<void()> at_ready;

 private:
  static void call(absl::AnyInvocable<void()>& hook) {
    if (hook != nullptr) {
      hook();
    }
  }
};

inline void ring(const UniqueFd& doorbell) { REQUIRE(eventfd_write(doorbell.get(), 1) == 0); }

// On every back end, while the loop polls and while it blocks at once.
inline void with_and_without_polling(const std::function<void(Context&)>& clause,
                                     ContextOptions options = {}) {
  for (const PollPolicy& policy :
       {PollPolicy(PollOff{}), PollPolicy(PollFixed{std::chrono::microseconds(100)})}) {
    options.polling = policy;
    on_every_context(clause, options);
  }
}

}  // namespace coaio::testing

#endif  // COAIO_TESTS_SUPPORT_FAKE_POLL_SOURCE_H_
