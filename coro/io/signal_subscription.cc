#include "coro/io/signal_subscription.h"

#include <sched.h>
#include <sys/types.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <bit>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <mutex>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "backends/errno_status.h"

namespace coaio::internal {
namespace {

constexpr int kLastSignal = 64;
constexpr std::size_t kMostSubscriptions = 256;

constexpr std::uint64_t bit_of(int number) { return std::uint64_t{1} << (number - 1); }

// State that the handler reads. Atomics and no lock, because a handler may interrupt any code.
std::array<std::atomic<SignalSubscription*>, kMostSubscriptions> g_listed{};
std::atomic<int> g_handlers_running{0};
std::atomic<pid_t> g_owner{0};  // the process that has installed the handlers
std::array<struct sigaction, kLastSignal + 1> g_before{};  // constant while its signal has users

// State for make() and the destructor only.
std::mutex g_mutex;
std::array<int, kLastSignal + 1> g_users{};  // guarded by g_mutex

// For each signal that make() has unblocked in this thread: for how many subscriptions, and whether
// it was blocked before.
struct Unblocked {
  int users = 0;
  bool was_blocked = false;
};
thread_local std::array<Unblocked, kLastSignal + 1> t_unblocked{};

void handle(int number) {
  const int saved_errno = errno;
  if (getpid() != g_owner.load(std::memory_order_relaxed)) {
    // A forked child: the subscriptions belong to the parent. The raised signal is blocked until
    // the handler returns, and the kernel delivers it then.
    sigaction(number, &g_before[static_cast<std::size_t>(number)], nullptr);
    raise(number);
    errno = saved_errno;
    return;
  }
  // Seq_cst, as in unlist(): either the destructor sees that a handler runs, or the handler sees
  // that the subscription is gone.
  g_handlers_running.fetch_add(1, std::memory_order_seq_cst);
  for (std::atomic<SignalSubscription*>& slot : g_listed) {
    if (SignalSubscription* subscription = slot.load(std::memory_order_seq_cst)) {
      subscription->hear(number);
    }
  }
  // Release: pairs with the load in unlist().
  g_handlers_running.fetch_sub(1, std::memory_order_release);
  errno = saved_errno;
}

bool list(SignalSubscription& subscription) {
  for (std::atomic<SignalSubscription*>& slot : g_listed) {
    if (slot.load(std::memory_order_relaxed) == nullptr) {  // relaxed: g_mutex is held
      // Seq_cst, as a release: pairs with the load in handle().
      slot.store(&subscription, std::memory_order_seq_cst);
      return true;
    }
  }
  return false;
}

// Returns when no handler uses the subscription any more.
void unlist(SignalSubscription& subscription) {
  for (std::atomic<SignalSubscription*>& slot : g_listed) {
    if (slot.load(std::memory_order_relaxed) == &subscription) {  // relaxed: g_mutex is held
      slot.store(nullptr, std::memory_order_seq_cst);
    }
  }
  // A handler takes microseconds, unless its thread has lost the CPU.
  while (g_handlers_running.load(std::memory_order_seq_cst) != 0) {
    sched_yield();
  }
}

bool install(int number) {
  const auto index = static_cast<std::size_t>(number);
  if (g_users[index] == 0) {
    struct sigaction action = {};
    action.sa_handler = &handle;
    action.sa_flags = SA_RESTART | SA_ONSTACK;
    if (sigaction(number, nullptr, &g_before[index]) != 0 ||
        sigaction(number, &action, nullptr) != 0) {
      return false;
    }
  }
  ++g_users[index];
  return true;
}

void uninstall(int number) {
  const auto index = static_cast<std::size_t>(number);
  if (--g_users[index] != 0) {
    return;
  }
  // An action that the program has installed since then stays.
  struct sigaction now = {};
  if (sigaction(number, nullptr, &now) == 0 && now.sa_handler == &handle) {
    sigaction(number, &g_before[index], nullptr);
  }
}

void change_mask(int how, int number) {
  sigset_t one;
  sigemptyset(&one);
  sigaddset(&one, number);
  pthread_sigmask(how, &one, nullptr);
}

void unblock(int number) {
  Unblocked& here = t_unblocked[static_cast<std::size_t>(number)];
  if (here.users++ == 0) {
    sigset_t mask;
    sigemptyset(&mask);
    pthread_sigmask(SIG_BLOCK, nullptr, &mask);
    here.was_blocked = sigismember(&mask, number) == 1;
    if (here.was_blocked) {
      change_mask(SIG_UNBLOCK, number);
    }
  }
}

void block_again(int number) {
  Unblocked& here = t_unblocked[static_cast<std::size_t>(number)];
  if (here.users != 0 && --here.users == 0 && here.was_blocked) {
    change_mask(SIG_BLOCK, number);
  }
}

// A forked child drops the subscriptions that it has copied from the parent.
void begin_anew_in_child() {
  if (g_owner.load(std::memory_order_relaxed) == getpid()) {
    return;
  }
  for (std::atomic<SignalSubscription*>& slot : g_listed) {
    slot.store(nullptr, std::memory_order_relaxed);  // relaxed: the handler leaves at g_owner
  }
  for (int number = 1; number <= kLastSignal; ++number) {
    if (g_users[static_cast<std::size_t>(number)] != 0) {
      g_users[static_cast<std::size_t>(number)] = 1;
      uninstall(number);
    }
  }
  t_unblocked = {};
  g_handlers_running.store(0, std::memory_order_relaxed);  // of threads that are not in the child
  g_owner.store(getpid(), std::memory_order_relaxed);
}

absl::Status refusal(int number, absl::string_view reason) {
  return absl::InvalidArgumentError(absl::StrCat("signal ", number, " ", reason));
}

absl::Status check_number(int number) {
  const bool is_signal = (number >= 1 && number < 32) || (number >= SIGRTMIN && number <= SIGRTMAX);
  if (!is_signal) {
    return refusal(number, "does not exist, or belongs to the C library");
  }
  switch (number) {
    case SIGKILL:
    case SIGSTOP:
      return refusal(
          number, number == SIGKILL ? "(SIGKILL) cannot be caught" : "(SIGSTOP) cannot be caught");
    case SIGSEGV:
    case SIGBUS:
    case SIGFPE:
    case SIGILL:
    case SIGTRAP:
    case SIGSYS:
      return refusal(number, absl::StrCat("(SIG", sigabbrev_np(number),
                                          ") reports a fault of the thread, which cannot go on: "
                                          "install a handler with sigaction"));
    default:
      return absl::OkStatus();
  }
}

template <typename F>
void for_each_signal(std::uint64_t set, F f) {
  for (; set != 0; set &= set - 1) {
    f(std::countr_zero(set) + 1);
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<SignalSubscription>> SignalSubscription::make(
    std::initializer_list<int> numbers, int eventfd) {
  std::uint64_t wanted = 0;
  for (const int number : numbers) {
    if (absl::Status status = check_number(number); !status.ok()) {
      return status;
    }
    wanted |= bit_of(number);
  }
  const std::lock_guard lock(g_mutex);
  begin_anew_in_child();
  std::unique_ptr<SignalSubscription> self(new SignalSubscription(eventfd));
  self->wanted_ = wanted;
  if (!list(*self)) {
    self->wanted_ = 0;
    return absl::ResourceExhaustedError(absl::StrCat("a process has at most ", kMostSubscriptions,
                                                     " objects that receive signals at a time"));
  }
  std::uint64_t installed = 0;
  for_each_signal(wanted, [&](int number) { installed |= install(number) ? bit_of(number) : 0; });
  if (installed != wanted) {
    const int error = errno;
    for_each_signal(installed, uninstall);
    unlist(*self);
    self->wanted_ = 0;
    return errno_status(error, "sigaction");
  }
  for_each_signal(wanted, unblock);
  return self;
}

SignalSubscription::SignalSubscription(int eventfd) : eventfd_(eventfd), owner_(getpid()) {}

SignalSubscription::~SignalSubscription() {
  // In a forked child there is nothing to restore: make() drops the copied state there.
  if (wanted_ == 0 || owner_ != getpid()) {
    return;
  }
  const std::lock_guard lock(g_mutex);
  for_each_signal(wanted_, block_again);
  for_each_signal(wanted_, uninstall);
  unlist(*this);
}

int SignalSubscription::take() {
  // Acquire: pairs with the release in hear(). One reader: the bit is still there when it is taken.
  const std::uint64_t pending = pending_.load(std::memory_order_acquire);
  if (pending == 0) {
    return 0;
  }
  const std::uint64_t lowest = pending & -pending;
  pending_.fetch_and(~lowest, std::memory_order_relaxed);  // relaxed: nothing hangs on it
  return std::countr_zero(lowest) + 1;
}

void SignalSubscription::hear(int number) {
  if ((wanted_ & bit_of(number)) == 0) {
    return;
  }
  // Release: pairs with the acquire in take().
  pending_.fetch_or(bit_of(number), std::memory_order_release);
  const std::uint64_t one = 1;
  const ssize_t written = write(eventfd_, &one, sizeof one);
  static_cast<void>(written);  // a full counter is readable already
}

}  // namespace coaio::internal
