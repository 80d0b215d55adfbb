#include "runtime/home_thread.h"

#include <atomic>
#include <memory>

namespace coaio {

// Apart from its owner below, so that a look at it needs no guard of a constructor.
constinit const HomeThread::Identity HomeThread::kNobody{};
constinit thread_local const HomeThread::Identity* HomeThread::t_current = &kNobody;

// Owns the identity of its thread.
struct ThreadEnd {
  ThreadEnd() = default;
  ThreadEnd(const ThreadEnd&) = delete;
  ThreadEnd& operator=(const ThreadEnd&) = delete;
  ~ThreadEnd() {
    HomeThread::t_current = &HomeThread::kNobody;
    if (identity != nullptr) {
      // Release: pairs with the acquire in has_ended(), so that what this thread did is seen by
      // whoever goes on with its context.
      identity->ended.store(true, std::memory_order_release);
    }
  }

  const std::shared_ptr<HomeThread::Identity>& current() {
    if (HomeThread::t_current == &HomeThread::kNobody) {
      identity = std::make_shared<HomeThread::Identity>();
      HomeThread::t_current = identity.get();
    }
    return identity;
  }

  std::shared_ptr<HomeThread::Identity> identity;
};

namespace {

const std::shared_ptr<HomeThread::Identity>& own_identity() {
  thread_local ThreadEnd end;
  return end.current();
}

}  // namespace

bool HomeThread::claim() {
  const std::shared_ptr<Identity>& self = own_identity();
  const Identity* home = nullptr;
  // Release: pairs with the acquire in has_ended(), which looks into the identity.
  if (home_.compare_exchange_strong(home, self.get(), std::memory_order_release,
                                    std::memory_order_relaxed)) {
    keeper_ = self;
    return true;
  }
  return home == self.get();
}

bool HomeThread::has_ended() const {
  // Acquire: the first pairs with the release in claim(), the second with the one at the thread's
  // end.
  return home_.load(std::memory_order_acquire)->ended.load(std::memory_order_acquire);
}

}  // namespace coaio
