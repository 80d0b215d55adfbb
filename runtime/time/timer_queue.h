// TimerQueue: pending timers of one clock, soonest first, equal deadlines in the order of arming.
//
// An implicit 4-ary heap of 16-byte entries, each with the deadline and the node, the position kept
// in the node: arm, re-arm and cancel take effect at once and next_deadline() is exact. Forty bytes
// per pending timer in all. Chosen among thirteen structures by measurement: no operation stalls at
// a million pending, and nothing needs tuning; docs/decisions.md has the figures.
//
// Threads: the home thread.
// Lifetime: a node outlives its stay; fire_due() marks it idle before it calls it and does not
//   touch it afterwards, so that a callback may re-arm, cancel or free any timer, its own included.
// Errors: arming may allocate, and terminates if memory is exhausted; reserve() moves that to a
//   better time.

#ifndef COAIO_RUNTIME_TIME_TIMER_QUEUE_H_
#define COAIO_RUNTIME_TIME_TIMER_QUEUE_H_

#include <cstddef>
#include <cstdint>

#include "backends/check.h"
#include "runtime/activity.h"
#include "runtime/time/clock.h"

namespace coaio {

class TimerNode {
 public:
  using Fire = void (*)(TimerNode&);

  explicit TimerNode(Fire fire) : fire_(fire) {}
  ~TimerNode() { check(!pending(), "a timer dies while it is armed: cancel it before"); }
  TimerNode(const TimerNode&) = delete;
  TimerNode& operator=(const TimerNode&) = delete;

  bool pending() const { return position_ != 0; }

 private:
  friend class TimerQueue;

  Fire fire_;
  std::uint64_t sequence_ = 0;  // 64 bits: 32 would wrap within minutes
  std::uint32_t position_ = 0;  // of the entry in the heap; 0 when idle
};

class TimerQueue {
 public:
  TimerQueue() = default;
  TimerQueue(const TimerQueue&) = delete;
  TimerQueue& operator=(const TimerQueue&) = delete;
  ~TimerQueue();

  // Room for `count` timers without further allocation.
  void reserve(std::size_t count);

  // Arms the timer, or moves a pending one; it becomes the last among equal deadlines. A deadline
  // in the past is an ordinary one: it fires at the next occasion, in its order.
  void arm(TimerNode& node, TimePoint deadline);

  // False if it was not pending.
  bool cancel(TimerNode& node);

  // The node may end, and the queue is not used any more, nor looked at. False, like a cancel()
  // that came too late.
  static bool abandon(TimerNode& node) {
    node.position_ = 0;
    return false;
  }

  // TimePoint::max() if nothing is pending.
  TimePoint next_deadline() const {
    return size_ == 0 ? TimePoint::max() : entries_[kRoot].deadline;
  }

  std::size_t size() const { return size_; }

  // Fires what is due at `now`, and returns how many. At most as many as were pending at the start,
  // and a timer that is armed meanwhile for a time before `now` comes after those that were armed
  // before: one that always re-arms itself in the past holds up neither the loop nor the others.
  // `activity`: who watches the calls, or null.
  std::size_t fire_due(TimePoint now, Activity* activity = nullptr);

 private:
  struct Entry {
    TimePoint deadline;
    TimerNode* node;
  };

  // The root's place puts each group of four siblings on one cache line.
  static constexpr std::uint32_t kRoot = 3;
  static constexpr std::uint32_t first_child(std::uint32_t position) { return 4 * (position - 2); }
  static constexpr std::uint32_t parent(std::uint32_t position) { return position / 4 + 2; }

  std::uint32_t end() const { return kRoot + size_; }
  static bool sooner(const Entry& a, const Entry& b);
  void place(Entry entry, std::uint32_t position);
  void move_up(Entry entry, std::uint32_t hole);
  void move_down(Entry entry, std::uint32_t hole);
  void settle(Entry entry, std::uint32_t hole);
  void take_out(std::uint32_t position);
  TimerNode& pop();
  void grow(std::size_t entries);
  void check_around(std::uint32_t position) const;

  Entry* entries_ = nullptr;
  std::uint32_t capacity_ = 0;  // entries, the unused ones before the root included
  std::uint32_t size_ = 0;
  std::uint64_t last_sequence_ = 0;
  TimePoint earliest_ =
      TimePoint::min();  // what a deadline before it counts as: the time of a fire_due()
};

}  // namespace coaio

#endif  // COAIO_RUNTIME_TIME_TIMER_QUEUE_H_
