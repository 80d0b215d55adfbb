// Activity: which callbacks a loop is in, for a Watchdog that looks on from another thread.
//
// The loop writes a few words for each callback, and reads no clock: the onlooker remembers when it
// saw a callback first. A loop that nobody watches has no Activity, and tests a null pointer.
//
// Lifetime: as long as any Doing on it.
// Threads: Doing and Waiting on the home thread; look() and waiting() anywhere.

#ifndef COAIO_RUNTIME_ACTIVITY_H_
#define COAIO_RUNTIME_ACTIVITY_H_

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace coaio {

class Activity {
 public:
  enum class Step : std::uint8_t { kBottomHalf, kTask, kHandler, kSource, kTimer, kIdle };

  // One callback.
  struct Call {
    std::uint64_t number = 0;  // counts callbacks, so that two of the same kind are told apart
    Step step = Step::kTask;
    const char* name = nullptr;  // what its user calls it
    int fd = -1;
  };

  // Callbacks nest, by turns that they nest. What is deeper than this is not seen.
  static constexpr std::size_t kDepth = 16;

  // A callback begins, and ends with this object. Nothing happens if `activity` is null.
  class Doing {
   public:
    Doing(Activity* activity, Step step, const char* name = nullptr, int fd = -1)
        : activity_(activity) {
      if (activity_ != nullptr) [[unlikely]] {
        activity_->begin({.number = 0, .step = step, .name = name, .fd = fd});
      }
    }
    Doing(const Doing&) = delete;
    Doing& operator=(const Doing&) = delete;
    ~Doing() {
      if (activity_ != nullptr) [[unlikely]] {
        activity_->end();
      }
    }

   private:
    Activity* activity_;
  };

  // The loop may sleep as long as this object lives.
  class Waiting {
   public:
    explicit Waiting(Activity* activity) : activity_(activity) { set(true); }
    Waiting(const Waiting&) = delete;
    Waiting& operator=(const Waiting&) = delete;
    ~Waiting() { set(false); }

   private:
    void set(bool waiting) {
      if (activity_ != nullptr) [[unlikely]] {
        activity_->waiting_.store(waiting, std::memory_order_relaxed);  // a hint for the reader
      }
    }
    Activity* activity_;
  };

  // How many callbacks the loop is in, one inside the other.
  std::size_t depth() const {
    return std::min(depth_.load(std::memory_order_acquire), kDepth);  // pairs with begin()
  }

  // The callback at this depth, the outermost is 0; nothing if it changes this moment.
  std::optional<Call> look(std::size_t depth) const {
    const Frame& frame = frames_[depth];
    Call call;
    // Acquire: pairs with the release in begin(), so that what follows is of this call or a later
    // one, which the second reading tells.
    call.number = frame.number.load(std::memory_order_acquire);
    call.step = frame.step.load(std::memory_order_acquire);
    call.name = frame.name.load(std::memory_order_acquire);
    call.fd = frame.fd.load(std::memory_order_acquire);
    const bool same = frame.number.load(std::memory_order_relaxed) == call.number;
    return same && call.number != 0 ? std::optional(call) : std::nullopt;
  }

  bool waiting() const { return waiting_.load(std::memory_order_relaxed); }

 private:
  struct Frame {
    std::atomic<std::uint64_t> number{0};  // zero while the others change
    std::atomic<Step> step{Step::kTask};
    std::atomic<const char*> name{nullptr};
    std::atomic<int> fd{-1};
  };

  void begin(const Call& call) {
    const std::size_t depth = depth_.load(std::memory_order_relaxed);  // only we change it
    if (depth < kDepth) {
      Frame& frame = frames_[depth];
      // Relaxed, and release below: whoever reads one of the new words sees the zero before it.
      frame.number.store(0, std::memory_order_relaxed);
      frame.step.store(call.step, std::memory_order_release);
      frame.name.store(call.name, std::memory_order_release);
      frame.fd.store(call.fd, std::memory_order_release);
      frame.number.store(++calls_, std::memory_order_release);  // pairs with look()
    }
    depth_.store(depth + 1, std::memory_order_release);  // pairs with depth()
  }

  void end() {
    const std::size_t depth = depth_.load(std::memory_order_relaxed) - 1;
    depth_.store(depth, std::memory_order_release);
    if (depth < kDepth) {
      frames_[depth].number.store(0, std::memory_order_release);
    }
  }

  std::array<Frame, kDepth> frames_;
  std::atomic<std::size_t> depth_{0};
  std::atomic<bool> waiting_{false};
  std::uint64_t calls_ = 0;
};

}  // namespace coaio

#endif  // COAIO_RUNTIME_ACTIVITY_H_
