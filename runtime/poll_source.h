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
// While the loop polls, it finds a ready source within nanoseconds on every back end, and the
// producer makes no system call. The loop calls poll_end() before it sleeps, and when the source
// has not been ready for ContextOptions::idle_source_limit. poll_end() makes the producer use the
// doorbell for later events. The loop then calls poll() once more, to find an event that became
// ready before poll_end().
//
// The doorbell is a file descriptor that becomes readable, usually an eventfd: the loop empties it
// by reading 8 bytes. The loop polls a source without a doorbell in every turn for ever, and the
// producer calls Context::notify() after it has made the source ready. A doorbell or a notification
// without an event is allowed. Each source of a context has a doorbell of its own.
//
// Threads: the context calls all virtual functions on its home thread.
// Lifetime: the source and its doorbell outlive the ScopedPollSource (scoped_poll_source.h). During
//   this time nothing else on that context uses the doorbell. on_ready() may end both.
// Errors: poll(), poll_begin() and poll_end() only read and change memory. These functions may
//   schedule, post and arm. If one of them runs a turn, or adds or removes a source, the process
//   aborts with a sentence. on_ready() may do anything: it may also remove and destroy its source.

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

  // Between poll_begin() and poll_end() the loop calls poll(), and the producer need not use the
  // doorbell. The two calls alternate, beginning with poll_begin(). If the source is removed after
  // poll_begin(), the loop calls poll_end() first.
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
