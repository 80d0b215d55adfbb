#include "runtime/time/timer_queue.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "backends/check.h"
#include "runtime/activity.h"
#include "runtime/time/clock.h"

namespace coaio::internal {
namespace {

constexpr std::size_t kFirstCapacity = 256;  // a page of entries
// Four times a position must fit into 32 bits.
constexpr std::size_t kMostEntries = std::size_t{1} << 30;

constexpr std::size_t kBigPage = std::size_t{2} << 20;

}  // namespace

TimerQueue::~TimerQueue() {
  if (entries_ != nullptr) {
    munmap(entries_, capacity_ * sizeof(Entry));
  }
}

void TimerQueue::reserve(std::size_t count) {
  if (count + kRoot > capacity_) {
    grow(count + kRoot);
  }
}

// Pages are moved, not copied: a queue of a million timers grows in microseconds.
void TimerQueue::grow(std::size_t entries) {
  std::size_t capacity = std::max<std::size_t>(capacity_, kFirstCapacity);
  while (capacity < entries) {
    capacity *= 2;
  }
  check(capacity <= kMostEntries, "more than a thousand million timers are pending");
  const std::size_t bytes = capacity * sizeof(Entry);
  void* memory =
      entries_ == nullptr
          ? mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
          : mremap(entries_, capacity_ * sizeof(Entry), bytes, MREMAP_MAYMOVE);
  check(memory != MAP_FAILED, "no memory for timers: reserve() them earlier, or raise the limit");
  if (bytes >= kBigPage) {
    // With small pages each random access would also walk the page table. A refusal does no harm.
    madvise(memory, bytes, MADV_HUGEPAGE);
  }
  entries_ = static_cast<Entry*>(memory);
  const std::uint32_t old_capacity = std::exchange(capacity_, static_cast<std::uint32_t>(capacity));
  std::copy_backward(entries_ + old_capacity - held_, entries_ + old_capacity,
                     entries_ + capacity_);
}

void TimerQueue::make_room() {
  if (entries_ == nullptr || end() + held_ == capacity_) {
    grow(std::size_t{end()} + held_ + 1);
  }
}

void TimerQueue::arm(TimerNode& node, TimePoint deadline) {
  node.sequence_ = ++last_sequence_;
  if (firing_ && deadline <= firing_at_) [[unlikely]] {
    remove(node);
    hold({deadline, &node});
  } else if (node.pending() && node.position_ < kHeld) {
    settle({deadline, &node}, node.position_);
  } else {
    remove(node);
    insert({deadline, &node});
  }
}

bool TimerQueue::cancel(TimerNode& node) {
  if (!node.pending()) {
    return false;
  }
  remove(node);
  return true;
}

void TimerQueue::insert(Entry entry) {
  make_room();
  ++size_;
  move_up(entry, end() - 1);
}

// Does nothing if the timer is idle.
void TimerQueue::remove(TimerNode& node) {
  if (!node.pending()) {
    return;
  }
  if (node.position_ < kHeld) [[likely]] {
    __builtin_prefetch(entries_[end() - 1].node, 1);  // it will take the place
    take_out(node.position_);
  } else {
    const std::uint32_t index = node.position_ - kHeld;
    --held_;
    held(index) = held(held_);
    held(index).node->position_ = node.position_;
  }
  node.position_ = 0;
}

// --- firing -------------------------------------------------------------------------------------

std::size_t TimerQueue::fire_due(TimePoint now, Activity* activity) {
  admit_held();  // those of the fire_due() in which this one is nested
  const std::size_t limit = size_;
  const bool nested = std::exchange(firing_, true);
  const TimePoint outer = std::exchange(firing_at_, now);
  std::size_t fired = 0;
  while (fired < limit && size_ != 0 && entries_[kRoot].deadline <= now) {
    TimerNode& node = pop();
    ++fired;
    const Activity::Doing doing(activity, node.info());
    node.fire_(node);
  }
  firing_ = nested;
  firing_at_ = outer;
  if (!nested) {
    admit_held();
  }
  return fired;
}

void TimerQueue::hold(Entry entry) {
  make_room();
  entry.node->position_ = kHeld + held_;
  ++held_;
  held(held_ - 1) = entry;
}

void TimerQueue::admit_held() {
  while (held_ != 0) {
    const Entry entry = held(--held_);
    insert(entry);
  }
}

TimePoint TimerQueue::soonest_held() const {
  TimePoint soonest = TimePoint::max();
  for (std::uint32_t i = 0; i < held_; ++i) {
    soonest = std::min(soonest, held(i).deadline);
  }
  return soonest;
}

// --- the heap -----------------------------------------------------------------------------------

TimerNode& TimerQueue::pop() {
  TimerNode& node = *entries_[kRoot].node;
  take_out(kRoot);
  node.position_ = 0;
  if (size_ != 0) {
    // The next one to fire is cold: a timer's frame was last touched when it was armed.
    __builtin_prefetch(entries_[kRoot].node);
  }
  return node;
}

// The sequence is read from the cold nodes only when deadlines are equal.
bool TimerQueue::sooner(const Entry& a, const Entry& b) {
  return a.deadline != b.deadline ? a.deadline < b.deadline : a.node->sequence_ < b.node->sequence_;
}

void TimerQueue::place(Entry entry, std::uint32_t position) {
  entries_[position] = entry;
  entry.node->position_ = position;
}

void TimerQueue::move_up(Entry entry, std::uint32_t hole) {
  while (hole != kRoot && sooner(entry, entries_[parent(hole)])) {
    place(entries_[parent(hole)], hole);
    hole = parent(hole);
  }
  place(entry, hole);
  check_around(hole);
}

void TimerQueue::move_down(Entry entry, std::uint32_t hole) {
  for (;;) {
    const std::uint32_t first = first_child(hole);
    if (first >= end()) {
      break;
    }
    // The children of all four, because it is not known yet which of the four moves up.
    if (const std::uint32_t below = first_child(first); below < end()) {
      for (std::uint32_t group = 0; group < 16; group += 4) {
        __builtin_prefetch(&entries_[below + group]);
      }
    }
    std::uint32_t soonest = first;
    for (std::uint32_t child = first + 1; child < std::min(first + 4, end()); ++child) {
      if (sooner(entries_[child], entries_[soonest])) {
        soonest = child;
      }
    }
    if (!sooner(entries_[soonest], entry)) {
      break;
    }
    place(entries_[soonest], hole);
    hole = soonest;
  }
  place(entry, hole);
  check_around(hole);
}

// The invariants of the heap where it has just changed. In debug builds only: siblings are read.
void TimerQueue::check_around([[maybe_unused]] std::uint32_t position) const {
#ifndef NDEBUG
  const Entry& entry = entries_[position];
  check(entry.node->position_ == position, "a timer is not where it believes to be");
  check(position == kRoot || !sooner(entry, entries_[parent(position)]),
        "a timer is sooner than its parent in the heap");
  const std::uint32_t first = first_child(position);
  for (std::uint32_t child = first; child < std::min(first + 4, end()); ++child) {
    check(!sooner(entries_[child], entry), "a timer is later than its child in the heap");
  }
#endif
}

void TimerQueue::settle(Entry entry, std::uint32_t hole) {
  if (hole != kRoot && sooner(entry, entries_[parent(hole)])) {
    move_up(entry, hole);
  } else {
    move_down(entry, hole);
  }
}

// The last entry takes the place of the one that leaves.
void TimerQueue::take_out(std::uint32_t position) {
  --size_;
  if (position != end()) {
    settle(entries_[end()], position);
  }
}

}  // namespace coaio::internal
