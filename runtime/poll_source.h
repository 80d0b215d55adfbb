// PollSource: readiness that can be seen in memory, for example a ring in shared memory.
//
//   class Inbox final : public PollSource {
//    public:
//     explicit Inbox(Ring& ring) : PollSource(ring.doorbell()), ring_(ring) {}
//     bool poll() override { return !ring_.empty(); }
//     void poll_begin() override { ring_.silence_doorbell(); }
//     void poll_end() override { ring_.enable_doorbell(); }
//     void on_ready() override { while (auto message = ring_.take()) { ... } }
//   };
//
// A loop that polls sees the source in nanoseconds, on every back end, and the producer makes no
// system call. Before the loop sleeps, and once the source has not been ready for a while
// (ContextOptions::idle_source_limit), poll_end() asks for the doorbell, and poll() is asked once
// more, for an event may have come in between.
//
// The doorbell is a file descriptor that becomes readable, usually an eventfd: the loop empties it
// by reading 8 bytes. The loop polls a source without a doorbell in every turn for ever, and the
// producer calls Context::notify() after it has made the source ready. A doorbell or a notification
// without an event is allowed. Each source of a context has a doorbell of its own.
//
// Threads: all four functions are called on the home thread.
// Lifetime: while an ScopedPollSource is there (scoped_poll_source.h), the source and its doorbell
// live, and
//   nothing else uses the doorbell on that context.
// Errors: poll(), poll_begin() and poll_end() only read and change memory. They may schedule, post
//   and arm; to run a turn, or to add or remove a source there, is checked. on_ready() may do
//   anything, also remove its own source, and destroy it.

#ifndef COAIO_RUNTIME_POLL_SOURCE_H_
#define COAIO_RUNTIME_POLL_SOURCE_H_

#include "backends/check.h"
#include "runtime/call_kind.h"
#include "runtime/intrusive_list.h"
#include "runtime/polling/poll_budget.h"
#include "runtime/time/clock.h"

namespace coaio {

namespace internal {
class SourceList;
}  // namespace internal

class PollSource : private internal::ListNode {
 public:
  // Without a doorbell: the code that makes it ready calls notify().
  PollSource() = default;
  // The name is what a Watchdog calls it, and outlives it. A doorbell of -1 is none.
  explicit PollSource(int doorbell, const char* name = nullptr)
      : PollSource(doorbell, name, internal::CallKind::kPollSource) {}
  virtual ~PollSource() {
    internal::check(list_ == nullptr,
                    "a poll source ends while a context looks at it: remove() it before");
  }

  // Whether it is ready. Called in a tight loop, with or without a poll_begin() before.
  virtual bool poll() = 0;

  // From now on, and until poll_end(), the loop looks by itself: no doorbell is needed. The two are
  // called in turns, also when the source is removed in between.
  virtual void poll_begin() {}
  virtual void poll_end() {}

  // Called after a poll() that returned true. It is not polled while this runs; if it is still
  // ready afterwards, the next turn finds it again.
  virtual void on_ready() = 0;

  // Called before the source is removed from its context, to check whether that is legal.
  virtual void on_remove() {}

  int doorbell() const { return doorbell_; }

 protected:
  // For one whose on_ready() is a call of another kind.
  PollSource(int doorbell, const char* name, internal::CallKind kind)
      : doorbell_(doorbell), kind_(kind), name_(name) {}

 private:
  friend class internal::SourceList;
  friend class internal::IntrusiveList<PollSource>;

  int doorbell_ = -1;
  bool begun_ = false;   // poll_begin() was called last
  bool active_ = false;  // ready, or its doorbell was used, since the last search for idle sources
  bool idle_ = false;    // not polled: its doorbell brings it back
  internal::CallKind kind_ = internal::CallKind::kPollSource;
  const char* name_ = nullptr;
  TimePoint quiet_since_;  // if it is not active
  internal::PollBudget budget_;
  internal::SourceList* list_ = nullptr;
};

}  // namespace coaio

#endif  // COAIO_RUNTIME_POLL_SOURCE_H_
