// SourceList: the poll sources of a context. A part of Context; users know PollSource.
//
// A source that was added is in one of four places:
//
//   polled    looked at in every turn
//   ready     poll() was true: the dispatch of this turn calls it
//   running   its on_ready() is on the stack; in no list, so that a nested turn leaves it alone
//   idle      not ready for a while, and its doorbell is watched instead
//
// Threads: the home thread.

#ifndef COAIO_RUNTIME_SOURCE_LIST_H_
#define COAIO_RUNTIME_SOURCE_LIST_H_

#include <chrono>
#include <cstddef>
#include <unordered_set>

#include "runtime/activity.h"
#include "runtime/fd_table.h"
#include "runtime/intrusive_list.h"
#include "runtime/poll_source.h"
#include "runtime/polling/poll_budget.h"
#include "runtime/polling/poll_policy.h"
#include "runtime/time/clock.h"

namespace coaio::internal {

class SourceList {
 public:
  SourceList(FdTable& fds, const Clock& clock, std::chrono::nanoseconds idle_limit,
             const PollPolicy& policy);

  // It is looked at before the loop sleeps the next time.
  void add(PollSource& source);
  void remove(PollSource& source);

  // The source may end, and the list is not used any more, nor looked at.
  static void abandon(PollSource& source) { source.list_ = nullptr; }

  bool has(const PollSource& source) const { return source.list_ == this; }
  bool empty() const { return size_ == 0; }
  std::size_t size() const { return size_; }

  // Whether there is anything to look at in memory: not if all are idle.
  bool polls() const { return !polled_.empty(); }

  // The watched doorbells that need not be looked at, since their memory is.
  std::size_t polled_doorbells() const { return polled_doorbells_; }

  // --- looking: in user space -------------------------------------------------------------------

  // The loop is going to look again and again.
  void begin_polling();

  // Looks once at each polled source.
  void look();

  // The loop is going to sleep: asks for the doorbells, and looks once more after that.
  void end_polling();

  // Whether any source is ready.
  bool has_ready() const { return !ready_.empty(); }

  // Calls on_ready() of the sources that are ready; returns whether there were any. A nested
  // dispatch calls the sources that the outer one has not yet called. `activity` records the calls,
  // and may be null.
  bool dispatch(Activity* activity = nullptr);

  // --- the budgets: one for each source -------------------------------------------------------

  void set_policy(const PollPolicy& policy);

  // The largest of the polled sources.
  std::chrono::nanoseconds budget() const;
  bool learns() const { return budget_.learns(); }

  // A wait has ended: the sources that are ready now learn from it.
  void waited(const WaitOutcome& wait);

 private:
  class Testing;

  // A call of on_ready() that is under way.
  struct Call {
    PollSource* source;  // null once it was removed
    Call* outer;
  };

  template <typename Work>
  void for_each(Work work);
  void end(PollSource& source);
  void retire_idle();
  void retire(PollSource& source);
  void rang(PollSource& source);
  void come_back(PollSource& source);

  FdTable& fds_;
  const Clock& clock_;
  const std::chrono::nanoseconds idle_limit_;
  IntrusiveList<PollSource> polled_;
  IntrusiveList<PollSource> ready_;
  IntrusiveList<PollSource> idle_;
  std::unordered_set<int> doorbells_;  // of all sources
  Call* calls_ = nullptr;
  std::size_t size_ = 0;
  std::size_t polled_doorbells_ = 0;
  unsigned looks_ = 0;
  bool testing_ = false;
  bool rang_ = false;  // since the last dispatch
  PollBudget budget_;  // what a new source begins with
};

}  // namespace coaio::internal

#endif  // COAIO_RUNTIME_SOURCE_LIST_H_
