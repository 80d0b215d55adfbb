#include "runtime/home_thread.h"

#include <pthread.h>

#include <atomic>
#include <memory>
#include <utility>

#include "backends/check.h"

namespace coaio::internal {
namespace {

// A POSIX key and not a thread_local with a destructor: the destructors of all thread_locals have
// run before those of the keys, and exit() runs none of the latter. A thread_local would end before
// other thread_locals, and before every static, that still use a context.
pthread_key_t make_key(void (*end)(void*)) {
  pthread_key_t key{};
  check(pthread_key_create(&key, end) == 0,
        "the process has no thread-specific key left (PTHREAD_KEYS_MAX): delete one before the "
        "first context runs");
  return key;
}

}  // namespace

constinit const HomeThread::Identity HomeThread::kUnclaimed{};
constinit thread_local const HomeThread::Identity* HomeThread::t_current = &kUnclaimed;

HomeThread::Identity& HomeThread::own_identity() {
  static const pthread_key_t key = make_key(&HomeThread::end);
  auto* own = static_cast<Identity*>(pthread_getspecific(key));
  if (own != nullptr && t_current == own) {
    return *own;
  }
  if (own != nullptr) {
    own->self.reset();  // a copy of the parent's, in a forked child
  }
  const auto made = std::make_shared<Identity>();
  made->self = made;
  check(pthread_setspecific(key, made.get()) == 0, "no memory for the thread that runs a context");
  t_current = made.get();
  return *made;
}

// The last thing that the thread does here. Should the destructor of another key claim a context
// afterwards, the thread gets a new identity, which ends in the next round of these destructors.
void HomeThread::end(void* identity) {
  auto* ending = static_cast<Identity*>(identity);
  if (t_current == ending) {
    t_current = &kUnclaimed;
  }
  const std::shared_ptr<Identity> last = std::exchange(ending->self, nullptr);
  // Release: pairs with the acquire in has_ended(), so that what this thread did is seen by the
  // thread that takes its contexts apart.
  last->ended.store(true, std::memory_order_release);
}

bool HomeThread::claim() {
  const Identity& self = own_identity();
  const Identity* home = nullptr;
  // Release: pairs with the acquire in has_ended(), which looks into the identity.
  if (home_.compare_exchange_strong(home, &self, std::memory_order_release,
                                    std::memory_order_relaxed)) {
    keeper_ = self.self;
    return true;
  }
  return home == &self;
}

bool HomeThread::has_ended() const {
  // Acquire: the first pairs with the release in claim(), the second with the one at the thread's
  // end.
  const Identity* home = home_.load(std::memory_order_acquire);
  return home != nullptr && home->ended.load(std::memory_order_acquire);
}

}  // namespace coaio::internal
