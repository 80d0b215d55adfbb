// TimerQueue: pending timers of one clock, soonest first, equal deadlines in the order of arming.
//
// An implicit 4-ary heap of 16-byte entries, each with the deadline and the node. The node keeps
// its position. So arming and cancelling take effect at once, and next_deadline() is exact. A
// pending timer takes 40 bytes in all. No operation stalls at a million pending timers, and nothing
// needs tuning; docs/decisions.md compares thirteen structures.
//
// A deadline is never changed. A timer that a callback arms for a time that has come already is
// held apart until fire_due() returns, so that a timer which always re-arms itself in the past
// holds up neither the loop nor the other timers.
//
// Threads: the home thread.
// Lifetime: a node lives at least as long as it is pending. fire_due() marks a node idle before it
//   calls the node, and does not touch it afterwards. So a callback may arm, cancel or free any
//   timer, its own included.
// Errors: arming may allocate, and ends the process if memory is exhausted. reserve() allocates in
//   advance.

#ifndef COAIO_RUNTIME_TIME_TIMER_QUEUE_H_
#define COAIO_RUNTIME_TIME_TIMER_QUEUE_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "backends/check.h"
#include "runtime/activity.h"
#include "runtime/call_kind.h"
#include "runtime/time/clock.h"

namespace coaio::internal {

class TimerNode {
 public:
  using Fire = void (*)(TimerNode&);

  explicit TimerNode(Fire fire, CallKind kind = CallKind::kTimer) : fire_(fire), kind_(kind) {}
  ~TimerNode() { check(!pending(), "a timer dies while it is armed: cancel it before"); }
  TimerNode(const TimerNode&) = delete;
  TimerNode& operator=(const TimerNode&) = delete;

  bool pending() const { return position_ != 0; }

  // What this node is, and its name; the name lives as long as the node.
  CallInfo info() const;

 private:
  friend class TimerQueue;
  friend class NamedTimerNode;

  Fire fire_;
  std::uint64_t sequence_ = 0;  // 64 bits: 32 would wrap within minutes
  // The index of the entry in the heap, or kHeld plus that of the held entry; 0 if idle.
  std::uint32_t position_ = 0;
  CallKind kind_;
  bool named_ = false;  // is a NamedTimerNode
};

// A node with a name, which outlives the node. Null: none.
class NamedTimerNode : public TimerNode {
 public:
  NamedTimerNode(Fire fire, const char* name) : TimerNode(fire), name_(name) { named_ = true; }

 private:
  friend class TimerNode;

  const char* name_;
};

inline CallInfo TimerNode::info() const {
  return {.kind = kind_,
          .name = named_ ? static_cast<const NamedTimerNode*>(this)->name_ : nullptr};
}

class TimerQueue {
 public:
  TimerQueue() = default;
  TimerQueue(const TimerQueue&) = delete;
  TimerQueue& operator=(const TimerQueue&) = delete;
  ~TimerQueue();

  // Room for `count` timers without further allocation.
  void reserve(std::size_t count);

  // Arms the timer, or moves a pending one; it becomes the last among equal deadlines. A deadline
  // in the past is an ordinary one: it fires in the next fire_due(), in its order.
  void arm(TimerNode& node, TimePoint deadline);

  // False if it was not pending.
  bool cancel(TimerNode& node);

  // Marks the node idle, so that it may be destroyed, and leaves the queue alone, which must not be
  // used again. Returns false, like a cancel() that came too late.
  static bool abandon(TimerNode& node) {
    node.position_ = 0;
    return false;
  }

  // TimePoint::max() if nothing is pending.
  TimePoint next_deadline() const {
    const TimePoint first = size_ == 0 ? TimePoint::max() : entries_[kRoot].deadline;
    return held_ == 0 ? first : std::min(first, soonest_held());
  }

  std::size_t size() const { return std::size_t{size_} + held_; }

  // Fires the timers that are due at `now`, and returns how many: at most as many as were pending
  // at the start. A timer that is armed meanwhile for `now` or earlier fires in the next call, or
  // in one that a callback nests. `activity`, unless it is null, records each call.
  std::size_t fire_due(TimePoint now, Activity* activity = nullptr);

  // Calls `visit` with each pending timer, in no order.
  template <typename Visit>
  void for_each(Visit visit) const {
    for (std::uint32_t i = 0; i < size_; ++i) {
      visit(static_cast<const TimerNode&>(*entries_[kRoot + i].node));
    }
    for (std::uint32_t i = 0; i < held_; ++i) {
      visit(static_cast<const TimerNode&>(*held(i).node));
    }
  }

 private:
  struct Entry {
    TimePoint deadline;
    TimerNode* node;
  };

  // The root's place puts each group of four siblings on one cache line.
  static constexpr std::uint32_t kRoot = 3;
  static constexpr std::uint32_t first_child(std::uint32_t position) { return 4 * (position - 2); }
  static constexpr std::uint32_t parent(std::uint32_t position) { return position / 4 + 2; }

  // A bit of TimerNode::position_ that says that the rest is the index of a held entry.
  static constexpr std::uint32_t kHeld = std::uint32_t{1} << 31;

  std::uint32_t end() const { return kRoot + size_; }
  Entry& held(std::uint32_t index) const { return entries_[capacity_ - 1 - index]; }
  static bool sooner(const Entry& a, const Entry& b);
  void place(Entry entry, std::uint32_t position);
  void move_up(Entry entry, std::uint32_t hole);
  void move_down(Entry entry, std::uint32_t hole);
  void settle(Entry entry, std::uint32_t hole);
  void take_out(std::uint32_t position);
  void insert(Entry entry);
  void remove(TimerNode& node);
  void hold(Entry entry);
  void admit_held();
  TimePoint soonest_held() const;
  void make_room();
  TimerNode& pop();
  void grow(std::size_t entries);
  void check_around(std::uint32_t position) const;

  Entry* entries_ = nullptr;
  std::uint32_t capacity_ = 0;  // entries, the unused ones before the root included
  std::uint32_t size_ = 0;      // of the heap
  std::uint32_t held_ = 0;      // entries at the end of the array that are no part of the heap
  std::uint64_t last_sequence_ = 0;
  bool firing_ = false;  // a fire_due() is in progress
  TimePoint firing_at_;  // the `now` of that fire_due()
};

}  // namespace coaio::internal

#endif  // COAIO_RUNTIME_TIME_TIMER_QUEUE_H_
