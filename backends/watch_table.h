// WatchTable: the watches of a monitor, and a list of the slots that changed since the last wait.
// Private to the back ends.
//
// Slots are small and dense, so the table is an array. A back end derives its record from Watch and
// adds the state that it has registered with the kernel. It touches the slots that changed, and the
// next wait() registers the changes. A change and its opposite then cost no system call.

#ifndef COAIO_BACKENDS_WATCH_TABLE_H_
#define COAIO_BACKENDS_WATCH_TABLE_H_

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "backends/check.h"
#include "backends/events.h"
#include "backends/fd_monitor.h"

namespace coaio::internal {

struct Watch {
  int fd = -1;
  std::uint32_t generation = 0;
  Events interest = Events::kNone;
  Trigger trigger = Trigger::kOneShot;
  bool live = false;     // armed and not disarmed
  bool changed = false;  // listed for the next wait()

  // The slot gets a new generation. A record that has state of one generation hides this function.
  void renew() {}
};

template <typename Record>
class WatchTable {
 public:
  Record& arm(int fd, Key key, Events interest, Trigger trigger) {
    check(fd >= 0, "a watch needs a descriptor: look at the result of the call that made it");
    if (key.slot >= records_.size()) {
      records_.resize(key.slot + 1);
    }
    Record& record = records_[key.slot];
    if (!record.live || record.generation != key.generation) {
      record.renew();
      record.live = true;
      record.generation = key.generation;
      record.fd = fd;
      record.trigger = trigger;
    }
    check(record.fd == fd && record.trigger == trigger,
          "a watch is armed again with another descriptor or trigger: disarm it first");
    record.interest = interest;
    return record;
  }

  // The live record of this key, or null if the key is dead.
  Record* find(Key key) {
    if (key.slot >= records_.size()) {
      return nullptr;
    }
    Record& record = records_[key.slot];
    return record.live && record.generation == key.generation ? &record : nullptr;
  }

  // Ends the watch and returns its record, or null if the key is dead already.
  Record* disarm(Key key) {
    Record* record = find(key);
    if (record != nullptr) {
      record->live = false;
      record->interest = Events::kNone;
    }
    return record;
  }

  // Lists the slot for the next apply_changes(), which must not be running.
  void touch(std::uint32_t slot) {
    if (!std::exchange(records_[slot].changed, true)) {
      changed_.push_back(slot);
    }
  }

  bool has_changes() const { return !changed_.empty(); }
  std::size_t changes() const { return changed_.size(); }

  // Calls apply(slot, record) for each changed slot until apply() returns false. That slot and the
  // slots after it then stay changed.
  template <typename Apply>
  bool apply_changes(Apply apply) {
    std::size_t done = 0;
    while (done < changed_.size() && apply(changed_[done], records_[changed_[done]])) {
      records_[changed_[done++]].changed = false;
    }
    if (done == changed_.size()) {
      changed_.clear();
      return true;
    }
    changed_.erase(changed_.begin(), changed_.begin() + static_cast<std::ptrdiff_t>(done));
    return false;
  }

  // The record of a slot that was armed at least once. The table never shrinks.
  Record& operator[](std::uint32_t slot) { return records_[slot]; }
  std::uint32_t size() const { return static_cast<std::uint32_t>(records_.size()); }

 private:
  std::vector<Record> records_;
  std::vector<std::uint32_t> changed_;
};

}  // namespace coaio::internal

#endif  // COAIO_BACKENDS_WATCH_TABLE_H_
