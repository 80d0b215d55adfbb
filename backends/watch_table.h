// WatchTable: what a monitor remembers of its watches, and which of them changed since the last wait.
// Private to the back ends.
//
// Slots are small and dense, so the table is an array. A back end derives its record from Watch, adds
// what the kernel was told, and brings both in line for each changed slot: a change and its opposite
// before the same wait() then cost no system call.

#ifndef COAIO_BACKENDS_WATCH_TABLE_H_
#define COAIO_BACKENDS_WATCH_TABLE_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "backends/check.h"
#include "backends/events.h"
#include "backends/fd_monitor.h"

namespace coaio {

struct Watch {
  int fd = -1;
  std::uint32_t generation = 0;
  Events interest = Events::kNone;
  Trigger trigger = Trigger::kOneShot;
  bool live = false;        // armed and not disarmed
  bool changed = false;     // is listed for the next wait()
  bool unpollable = false;  // the kernel has no readiness for the file: it is always ready
};

template <typename Record>
class WatchTable {
 public:
  Record& arm(int fd, Key key, Events interest, Trigger trigger) {
    check(trigger != Trigger::kEdge || any(interest),
          "an edge-triggered watch is armed without interest: arm all directions, once");
    if (key.slot >= records_.size()) {
      records_.resize(key.slot + 1);
    }
    Record& record = records_[key.slot];
    if (record.live && record.generation == key.generation) {
      check(record.fd == fd && record.trigger == trigger,
            "a watch is armed again with another descriptor or trigger: disarm it first");
    } else {
      record.unpollable = false;
    }
    record.fd = fd;
    record.generation = key.generation;
    record.interest = interest;
    record.trigger = trigger;
    record.live = true;
    touch(key.slot);
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

  // False if the key was dead already.
  bool disarm(Key key) {
    Record* record = find(key);
    if (record == nullptr) {
      return false;
    }
    record->live = false;
    record->interest = Events::kNone;
    touch(key.slot);
    return true;
  }

  void touch(std::uint32_t slot) {
    if (!std::exchange(records_[slot].changed, true)) {
      changed_.push_back(slot);
    }
  }

  bool has_changes() const { return !changed_.empty(); }

  // Calls apply(slot, record) for each changed slot; apply() says whether to go on. A record at which
  // it stopped, and those after it, stay changed.
  template <typename Apply>
  bool apply_changes(Apply apply) {
    std::size_t done = 0;
    bool ok = true;
    while (ok && done < changed_.size()) {
      const std::uint32_t slot = changed_[done];
      ok = apply(slot, records_[slot]);
      if (ok) {
        records_[slot].changed = false;
        ++done;
      }
    }
    changed_.erase(changed_.begin(), changed_.begin() + static_cast<std::ptrdiff_t>(done));
    return ok;
  }

  // Files that the kernel cannot watch (regular files, /dev/null, ...) are ready whenever somebody is
  // interested. A back end marks them when the kernel refuses one, and lists the slot again whenever
  // its interest changes.
  void list_unpollable(std::uint32_t slot) {
    records_[slot].unpollable = true;
    if (std::find(unpollable_.begin(), unpollable_.end(), slot) == unpollable_.end()) {
      unpollable_.push_back(slot);
    }
  }

  bool has_unpollable() const { return !unpollable_.empty(); }

  void report_unpollable(std::vector<Ready>& ready) {
    std::erase_if(unpollable_, [&](std::uint32_t slot) {
      Record& record = records_[slot];
      const Events events = record.interest & (Events::kIn | Events::kOut);
      if (!record.live || !record.unpollable || !any(events)) {
        return true;
      }
      ready.push_back({.key = {slot, record.generation}, .events = events});
      if (record.trigger != Trigger::kLevel) {
        record.interest = Events::kNone;
      }
      return record.trigger != Trigger::kLevel;
    });
  }

  Record& operator[](std::uint32_t slot) { return records_[slot]; }
  std::uint32_t size() const { return static_cast<std::uint32_t>(records_.size()); }

 private:
  std::vector<Record> records_;
  std::vector<std::uint32_t> changed_;
  std::vector<std::uint32_t> unpollable_;  // slots with an interest
};

}  // namespace coaio

#endif  // COAIO_BACKENDS_WATCH_TABLE_H_
