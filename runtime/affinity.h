// Affinity: which thread of which process a context belongs to.
//
// Three verdicts about the calling thread:
//
//   kMayAct     it is the home thread, or there is none yet, or the home thread has ended
//   kElsewhere  another thread is the home, and lives
//   kForked     the context was made by the parent of this process: in the child nothing of it may
//               be used, for its descriptors and rings are the parent's, and its queues may have
//               been copied in the middle of a change
//
// Threads: any; was_forked() also in signal handlers.

#ifndef COAIO_RUNTIME_AFFINITY_H_
#define COAIO_RUNTIME_AFFINITY_H_

#include <cstdint>

#include "backends/check.h"
#include "runtime/fork_generation.h"
#include "runtime/home_thread.h"

namespace coaio::internal {

class Affinity {
 public:
  static constexpr const char* kUsedInForkedChild =
      "a context is used in a forked child: make a new one there";

  enum class Verdict : std::uint8_t { kMayAct, kElsewhere, kForked };

  Verdict verdict() const {
    if (home_.is_here()) [[likely]] {  // so the process was not forked: see HomeThread::leave_all()
      return Verdict::kMayAct;
    }
    return verdict_away();
  }

  // Makes the calling thread the home. False if another thread is, or was.
  bool claim() { return home_.claim(); }

  bool is_home() const { return home_.is_here(); }
  bool home_has_ended() const { return home_.has_ended(); }

  // The same for functions that are themselves not inlined.
  bool is_home_now() const { return home_.is_here_now(); }

  bool may_act() const { return verdict() == Verdict::kMayAct; }

  // On the home thread, or in the place of one that has ended. A context without a home thread may
  // get one at any moment, and then a change by the calling thread would race with it.
  bool may_change() const { return !home_.is_free() && may_act(); }

  bool was_forked() const { return fork_generation() != born_in_; }

  void check_not_forked() const { check(!was_forked(), kUsedInForkedChild); }

  // For calls that only the home thread makes.
  void check_home() const {
    if (!home_.is_here()) [[unlikely]] {
      check_not_forked();
      check_may_act();
    }
  }

  // For the end of what uses the context, which may also come in a forked child. False there: then
  // the caller only forgets the context.
  bool may_take_back() const {
    const Verdict now = verdict();
    if (now == Verdict::kElsewhere) [[unlikely]] {
      check_may_act();
    }
    return now == Verdict::kMayAct;
  }

 private:
  Verdict verdict_away() const {
    if (was_forked()) {
      return Verdict::kForked;
    }
    return home_.may_act() ? Verdict::kMayAct : Verdict::kElsewhere;
  }
  void check_may_act() const {
    check(home_.may_act(), "a context is used by another thread than its home: post() the call");
  }

  const std::uint32_t born_in_ = fork_generation();
  HomeThread home_;
};

}  // namespace coaio::internal

#endif  // COAIO_RUNTIME_AFFINITY_H_
