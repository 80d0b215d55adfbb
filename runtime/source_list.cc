#include "runtime/source_list.h"

#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "backends/check.h"
#include "runtime/activity.h"
#include "runtime/fd_table.h"
#include "runtime/poll_source.h"
#include "runtime/polling/poll_budget.h"
#include "runtime/polling/poll_policy.h"
#include "runtime/time/clock.h"

namespace coaio::internal {
namespace {

// Idle sources are looked for before each sleep, and this often while the loop is busy.
constexpr unsigned kLooksPerRetirement = 256;

// The learned policy knows all waits of a context together, those for sources included.
PollBudget budget_of_one(const PollPolicy& policy) {
  return std::holds_alternative<PollLearned>(policy) ? PollBudget() : PollBudget(policy);
}

// Empties the doorbell without ever blocking. Another process may share the doorbell, may empty it
// first, and may have made its file blocking.
void empty_doorbell(int doorbell) {
  std::uint64_t count = 0;
  const iovec into{.iov_base = &count, .iov_len = sizeof count};
  ssize_t result = preadv2(doorbell, &into, 1, -1, RWF_NOWAIT);
  if (result < 0 && (errno == EOPNOTSUPP || errno == ENOSYS)) {
    result = read(doorbell, &count, sizeof count);
  }
  check(result >= 0 || errno == EAGAIN || errno == EINTR,
        "the doorbell of a poll source cannot be read: was it closed before remove()?");
}

}  // namespace

// Marks the calls in which a source may only look at memory.
class SourceList::Testing {
 public:
  explicit Testing(SourceList& list) : list_(list) {
    check(!list.testing_,
          "a poll source runs a turn, or adds or removes a source, in its poll(), poll_begin() or "
          "poll_end(): do that in on_ready()");
    list_.testing_ = true;
  }
  Testing(const Testing&) = delete;
  Testing& operator=(const Testing&) = delete;
  ~Testing() { list_.testing_ = false; }

 private:
  SourceList& list_;
};

SourceList::SourceList(FdTable& fds, const Clock& clock, std::chrono::nanoseconds idle_limit,
                       const PollPolicy& policy)
    : fds_(fds), clock_(clock), idle_limit_(idle_limit), budget_(budget_of_one(policy)) {}

// --- coming and going ---------------------------------------------------------------------------

void SourceList::add(PollSource& source) {
  check(source.list_ == nullptr, "a poll source is added twice: remove() it before");
  const Testing not_within_a_test(*this);
  if (source.doorbell_ >= 0 && !doorbells_.insert(source.doorbell_).second) {
    fail(absl::StrCat("two poll sources of a context share descriptor ", source.doorbell_,
                      " as their doorbell: give each an eventfd of its own")
             .c_str());
  }
  source.list_ = this;
  source.budget_ = budget_;
  ++size_;
  come_back(source);
  if (source.doorbell_ >= 0) {
    fds_.set_handlers(source.doorbell_,
                      {.read = [this, &source] { rang(source); }, .write = nullptr});
  }
}

void SourceList::remove(PollSource& source) {
  check(source.list_ == this, "a poll source is removed that was not added to this context");
  source.on_remove();
  end(source);
  source.unlink();
  for (Call* call = calls_; call != nullptr; call = call->outer) {
    if (call->source == &source) {
      call->source = nullptr;
    }
  }
  if (source.doorbell_ >= 0) {
    polled_doorbells_ -= source.idle_ ? 0 : 1;
    fds_.set_handlers(source.doorbell_, {});
    doorbells_.erase(source.doorbell_);
  }
  source.idle_ = false;
  source.list_ = nullptr;
  --size_;
}

void SourceList::rang(PollSource& source) {
  empty_doorbell(source.doorbell_);
  source.active_ = true;
  rang_ = true;
  if (source.idle_) {
    source.unlink();
    come_back(source);
  }
}

void SourceList::come_back(PollSource& source) {
  source.idle_ = false;
  source.active_ = true;
  polled_doorbells_ += source.doorbell_ >= 0 ? 1 : 0;
  polled_.push_back(source);
}

// --- looking ------------------------------------------------------------------------------------

void SourceList::begin_polling() {
  const Testing testing(*this);
  for (PollSource* source = polled_.front(); source != nullptr; source = polled_.next(*source)) {
    if (!source->begun_) {
      source->begun_ = true;
      source->poll_begin();
    }
  }
}

void SourceList::look() {
  if (++looks_ % kLooksPerRetirement == 0) {
    retire_idle();
  }
  const Testing testing(*this);
  for (PollSource* source = polled_.front(); source != nullptr;) {
    PollSource* next = polled_.next(*source);
    if (source->poll()) {
      source->active_ = true;
      source->unlink();
      ready_.push_back(*source);
    }
    source = next;
  }
}

// A source that is ready or running is probed before the next sleep, and may stay as it is.
void SourceList::end_polling() {
  for (PollSource* source = polled_.front(); source != nullptr; source = polled_.next(*source)) {
    end(*source);
  }
  retire_idle();
  look();
}

void SourceList::end(PollSource& source) {
  const Testing testing(*this);
  if (std::exchange(source.begun_, false)) {
    source.poll_end();
  }
}

void SourceList::retire_idle() {
  const TimePoint now = clock_.now();
  for (PollSource* source = polled_.front(); source != nullptr;) {
    PollSource* next = polled_.next(*source);
    if (std::exchange(source->active_, false)) {
      source->quiet_since_ = now;
    } else if (source->doorbell_ >= 0 && now - source->quiet_since_ >= idle_limit_) {
      retire(*source);
    }
    source = next;
  }
}

// An event may have come before poll_end() asked for the doorbell, and then nothing rings for it:
// the source is polled once more.
void SourceList::retire(PollSource& source) {
  end(source);
  const Testing testing(*this);
  source.unlink();
  if (source.poll()) {
    source.active_ = true;
    ready_.push_back(source);
  } else {
    source.idle_ = true;
    --polled_doorbells_;
    idle_.push_back(source);
  }
}

bool SourceList::dispatch(Activity* activity) {
  if (std::exchange(rang_, false)) {
    look();
  }
  bool called = false;
  while (PollSource* source = ready_.pop_front()) {
    called = true;
    Call call{.source = source, .outer = calls_};
    calls_ = &call;
    const Activity::Doing doing(
        activity, {.kind = source->kind_, .name = source->name_, .fd = source->doorbell_});
    source->on_ready();
    calls_ = call.outer;
    if (call.source != nullptr) {
      polled_.push_back(*source);
    }
  }
  return called;
}

// --- budgets ------------------------------------------------------------------------------------

template <typename Work>
void SourceList::for_each(Work work) {
  for (IntrusiveList<PollSource>* list : {&polled_, &ready_, &idle_}) {
    for (PollSource* source = list->front(); source != nullptr; source = list->next(*source)) {
      work(*source);
    }
  }
  for (Call* call = calls_; call != nullptr; call = call->outer) {
    if (call->source != nullptr) {
      work(*call->source);
    }
  }
}

void SourceList::set_policy(const PollPolicy& policy) {
  budget_ = budget_of_one(policy);
  for_each([this](PollSource& source) { source.budget_ = budget_; });
}

std::chrono::nanoseconds SourceList::budget() const {
  std::chrono::nanoseconds largest{0};
  for (PollSource* source = polled_.front(); source != nullptr; source = polled_.next(*source)) {
    largest = std::max(largest, source->budget_.budget());
  }
  return largest;
}

void SourceList::waited(const WaitOutcome& wait) {
  for (PollSource* source = ready_.front(); source != nullptr; source = ready_.next(*source)) {
    source->budget_.waited(wait);
  }
}

}  // namespace coaio::internal
