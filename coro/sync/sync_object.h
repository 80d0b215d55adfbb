// SyncObject: what all synchronisation objects have: one mutex, and the knowledge of forks. Private
// to coro/sync.
//
// In a forked child the queue of an object may have been copied in the middle of a change, its
// mutex may be locked for ever, and the tasks in the queue are the parent's. So the destructors of
// objects, locks and permits do nothing there.
//
// Threads: was_forked() on any.

#ifndef COAIO_CORO_SYNC_SYNC_OBJECT_H_
#define COAIO_CORO_SYNC_SYNC_OBJECT_H_

#include <cstdint>
#include <mutex>

#include "runtime/fork_generation.h"

namespace coaio::internal {

class SyncObject {
 public:
  SyncObject(const SyncObject&) = delete;
  SyncObject& operator=(const SyncObject&) = delete;

 protected:
  SyncObject() = default;
  ~SyncObject() = default;

  // Whether the parent of this process has made the object.
  bool was_forked() const { return fork_generation() != born_in_; }

  mutable std::mutex mutex_;

 private:
  const std::uint32_t born_in_ = fork_generation();
};

}  // namespace coaio::internal

#endif  // COAIO_CORO_SYNC_SYNC_OBJECT_H_
