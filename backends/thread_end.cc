#include "backends/thread_end.h"

#include <pthread.h>

#include <algorithm>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

namespace coaio::internal {
namespace {

// A POSIX key and not a thread_local with a destructor: the destructors of all thread_locals run
// before the destructors of the keys.
std::optional<pthread_key_t> make_key(void (*end)(void*)) {
  pthread_key_t key{};
  return pthread_key_create(&key, end) == 0 ? std::optional(key) : std::nullopt;
}

}  // namespace

// The calls that one thread has to make.
struct ThreadEnd::Calls {
  std::mutex mutex;
  std::vector<ThreadEnd*> attached;
  std::shared_ptr<Calls> self;  // until the thread ends
};

void ThreadEnd::attach() {
  static const std::optional<pthread_key_t> key = make_key(&ThreadEnd::end);
  if (!key.has_value()) {
    return;
  }
  auto* own = static_cast<Calls*>(pthread_getspecific(*key));
  if (own == nullptr) {
    const auto made = std::make_shared<Calls>();
    if (pthread_setspecific(*key, made.get()) != 0) {
      return;
    }
    made->self = made;
    own = made.get();
  }
  const std::lock_guard lock(own->mutex);
  own->attached.push_back(this);
  calls_ = own->self;
}

void ThreadEnd::detach() {
  if (const std::shared_ptr<Calls> calls = std::exchange(calls_, nullptr)) {
    const std::lock_guard lock(calls->mutex);
    std::erase(calls->attached, this);
  }
}

void ThreadEnd::end(void* calls) {
  const std::shared_ptr<Calls> last = std::exchange(static_cast<Calls*>(calls)->self, nullptr);
  const std::lock_guard lock(last->mutex);
  for (const ThreadEnd* each : last->attached) {
    each->call_();
  }
  last->attached.clear();
}

}  // namespace coaio::internal
