#include "runtime/context_thread.h"

#include <pthread.h>
#include <sched.h>

#include <cerrno>
#include <cstddef>
#include <latch>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "backends/check.h"
#include "backends/errno_status.h"
#include "runtime/context.h"

namespace coaio {

using namespace internal;

struct ContextThread::State {
  State(std::unique_ptr<Context> c, absl::string_view n)
      : context(std::move(c)), name(n.substr(0, kLongestName)) {}

  static constexpr std::size_t kLongestName = 15;

  static void* run(void* argument);

  const std::unique_ptr<Context> context;
  const std::string name;
  std::latch bound{1};
  std::thread::id id;  // written by the thread before `bound`
  pthread_t thread{};
  bool running = false;
};

namespace {

// The attributes of a thread that runs on one CPU.
class PinnedThread {
 public:
  explicit PinnedThread(std::optional<int> cpu) {
    pthread_attr_init(&attributes_);
    if (cpu.has_value()) {
      pin(*cpu);
    }
  }
  PinnedThread(const PinnedThread&) = delete;
  PinnedThread& operator=(const PinnedThread&) = delete;
  ~PinnedThread() { pthread_attr_destroy(&attributes_); }

  int create(pthread_t& thread, void* (*run)(void*), void* argument) const {
    return error_ != 0 ? error_ : pthread_create(&thread, &attributes_, run, argument);
  }

 private:
  // A set of the size that the CPU needs: machines have more of them than a cpu_set_t.
  void pin(int cpu) {
    constexpr int kMostCpus = 1 << 16;
    if (cpu < 0 || cpu >= kMostCpus) {
      error_ = EINVAL;
      return;
    }
    cpu_set_t* const set = CPU_ALLOC(cpu + 1);
    const std::size_t size = CPU_ALLOC_SIZE(cpu + 1);
    CPU_ZERO_S(size, set);
    CPU_SET_S(cpu, size, set);
    error_ = pthread_attr_setaffinity_np(&attributes_, size, set);
    CPU_FREE(set);
  }

  pthread_attr_t attributes_;
  int error_ = 0;
};

absl::Status not_started(int error, const ThreadOptions& options) {
  std::string what = absl::StrCat("start the thread \"", options.name, "\"");
  if (!options.cpu.has_value()) {
    return errno_status(error, what);
  }
  absl::StrAppend(&what, " on CPU ", *options.cpu);
  return errno_status(
      error, what,
      error == EINVAL ? "name a CPU on which this process may run: taskset -cp shows them" : "");
}

}  // namespace

void* ContextThread::State::run(void* argument) {
  State& state = *static_cast<State*>(argument);
  pthread_setname_np(pthread_self(), state.name.c_str());  // fails for names only that are too long
  state.context->bind();
  state.id = std::this_thread::get_id();
  state.bound.count_down();
  state.context->run();
  return nullptr;
}

absl::StatusOr<ContextThread> ContextThread::start(const ContextOptions& options,
                                                   const ThreadOptions& thread) {
  absl::StatusOr<std::unique_ptr<Context>> context = Context::create(options);
  if (!context.ok()) {
    return context.status();
  }
  auto state = std::make_unique<State>(*std::move(context), thread.name);
  const int error = PinnedThread(thread.cpu).create(state->thread, &State::run, state.get());
  if (error != 0) {
    return not_started(error, thread);
  }
  state->running = true;
  state->bound.wait();
  return ContextThread(std::move(state));
}

ContextThread::ContextThread(std::unique_ptr<State> state) : state_(std::move(state)) {}

ContextThread::ContextThread(ContextThread&& other) noexcept = default;

ContextThread& ContextThread::operator=(ContextThread&& other) noexcept {
  if (this != &other) {
    stop();
    state_ = std::move(other.state_);
  }
  return *this;
}

ContextThread::~ContextThread() { stop(); }

Context& ContextThread::context() const {
  check(state_ != nullptr, "a context thread is used that was moved from");
  return *state_->context;
}

std::thread::id ContextThread::id() const {
  check(state_ != nullptr, "a context thread is used that was moved from");
  return state_->id;
}

void ContextThread::request_stop() {
  if (state_ != nullptr && state_->running && !state_->context->was_forked()) {
    state_->context->stop();
  }
}

void ContextThread::stop() {
  if (state_ == nullptr || !state_->running || state_->context->was_forked()) {
    return;  // a forked child has not got the thread
  }
  check(!state_->context->is_home(),
        "a context thread is stopped by the thread itself, which cannot wait for its own end: call "
        "context().stop() there, and stop() on another thread");
  state_->context->stop();
  pthread_join(state_->thread, nullptr);
  state_->running = false;
}

}  // namespace coaio
