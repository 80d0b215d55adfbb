// Activity: which callbacks a loop is in, for a Watchdog that reads it on another thread.
//
// The loop writes a few words for each callback, and reads no clock: the reader remembers when it
// saw a callback first. A loop without a Watchdog has no Activity, and tests a null pointer.
//
// Names are copied, since a callback may free the object that its name belongs to while another
// thread reads it. A longer name than kNameBytes is cut.
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
#include <cstring>
#include <optional>

#include "runtime/call_kind.h"

namespace coaio::internal {

class Activity {
 public:
  static constexpr std::size_t kNameBytes = 63;

  // One callback, copied.
  struct Call {
    std::uint64_t number = 0;  // counts callbacks, so that two of the same kind are told apart
    CallKind kind = CallKind::kOther;
    int fd = -1;
    bool has_name = false;
    std::array<char, kNameBytes + 1> name{};

    CallInfo info() const {
      return {.kind = kind, .name = has_name ? name.data() : nullptr, .fd = fd};
    }
  };

  // A callback may run a nested turn. Callbacks that nest deeper than this are not recorded.
  static constexpr std::size_t kDepth = 16;

  // A callback begins, and ends with this object. Nothing happens if `activity` is null.
  class Doing {
   public:
    Doing(Activity* activity, const CallInfo& call) : activity_(activity) {
      if (activity_ != nullptr) [[unlikely]] {
        activity_->begin(call);
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
    // Acquire: pairs with the releases in begin(). The loads that follow are of this call or of a
    // later one, and the second reading of the number tells which.
    call.number = frame.number.load(std::memory_order_acquire);
    call.kind = frame.kind.load(std::memory_order_acquire);
    call.fd = frame.fd.load(std::memory_order_acquire);
    call.has_name = frame.has_name.load(std::memory_order_acquire);
    if (call.has_name) {
      read_name(frame, call.name);
    }
    const bool same = frame.number.load(std::memory_order_relaxed) == call.number;
    return same && call.number != 0 ? std::optional(call) : std::nullopt;
  }

  bool waiting() const { return waiting_.load(std::memory_order_relaxed); }

 private:
  using Word = std::uint64_t;
  static constexpr std::size_t kNameWords = (kNameBytes + 1) / sizeof(Word);

  struct Frame {
    std::atomic<std::uint64_t> number{0};  // zero while the others change
    std::atomic<CallKind> kind{CallKind::kOther};
    std::atomic<bool> has_name{false};
    std::atomic<int> fd{-1};
    // Ends with the first zero byte; what follows it is of an earlier name.
    std::array<std::atomic<Word>, kNameWords> name{};
  };

  void begin(const CallInfo& call) {
    const std::size_t depth =
        depth_.load(std::memory_order_relaxed);  // only the home thread writes it
    if (depth < kDepth) {
      Frame& frame = frames_[depth];
      // Relaxed, and release below: a reader that sees one of the new words sees the zero, too.
      frame.number.store(0, std::memory_order_relaxed);
      frame.kind.store(call.kind, std::memory_order_release);
      frame.fd.store(call.fd, std::memory_order_release);
      frame.has_name.store(call.name != nullptr, std::memory_order_release);
      if (call.name != nullptr) {
        write_name(frame, call.name);
      }
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

  static void write_name(Frame& frame, const char* name) {
    std::array<Word, kNameWords> words{};
    const std::size_t length = strnlen(name, kNameBytes);
    std::memcpy(words.data(), name, length);
    for (std::size_t i = 0; i <= length / sizeof(Word); ++i) {
      frame.name[i].store(words[i], std::memory_order_release);  // pairs with look()
    }
  }

  static void read_name(const Frame& frame, std::array<char, kNameBytes + 1>& name) {
    for (std::size_t i = 0; i < kNameWords; ++i) {
      const Word word = frame.name[i].load(std::memory_order_acquire);  // pairs with begin()
      std::memcpy(&name[i * sizeof word], &word, sizeof word);
    }
    name[kNameBytes] = '\0';
  }

  std::array<Frame, kDepth> frames_;
  std::atomic<std::size_t> depth_{0};
  std::atomic<bool> waiting_{false};
  std::uint64_t calls_ = 0;
};

}  // namespace coaio::internal

#endif  // COAIO_RUNTIME_ACTIVITY_H_
