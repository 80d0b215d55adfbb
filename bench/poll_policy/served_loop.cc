#include "bench/poll_policy/served_loop.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "backends/unique_fd.h"
#include "bench/echo/exit.h"
#include "bench/poll_policy/link.h"
#include "bench/poll_policy/thread_clock.h"
#include "runtime/context.h"
#include "runtime/time/clock.h"

namespace coaio::bench {
namespace {

using std::chrono::nanoseconds;

std::unique_ptr<Context> make_context(const ContextOptions& options) {
  absl::StatusOr<std::unique_ptr<Context>> context = Context::create(options);
  if (!context.ok()) {
    exit_with(kExitUnavailable, std::string(context.status().message()));
  }
  return *std::move(context);
}

void drain(int fd) {
  std::uint64_t value = 0;
  while (read(fd, &value, sizeof value) > 0) {
  }
}

}  // namespace

ServedLoop::ServedLoop(const ContextOptions& options, int cpu, LinkEnd& link,
                       const std::vector<UniqueFd>& beside, std::size_t waits_to_record)
    : context_(make_context(options)),
      beside_(beside),
      waits_to_record_(waits_to_record),
      thread_([this, cpu, &link] {
        stay_on(cpu);
        serve(link);
      }) {}

ServedLoop::~ServedLoop() { stop(); }

void ServedLoop::stop() {
  if (thread_.joinable()) {
    context_->stop();
    thread_.join();
  }
}

void ServedLoop::serve(LinkEnd& link) {
  for (const UniqueFd& fd : beside_) {
    context_->set_fd_handler(fd.get(), {.read = [&fd] { drain(fd.get()); }, .write = nullptr});
  }
  context_->set_fd_handler(link.in.get(), {.read =
                                               [&] {
                                                 note(std::chrono::steady_clock::now());
                                                 while (link.receive()) {
                                                   link.send();
                                                 }
                                                 waits_since_ = std::chrono::steady_clock::now();
                                               },
                                           .write = nullptr});
  context_->run();
  context_->set_fd_handler(link.in.get(), {});
  for (const UniqueFd& fd : beside_) {
    context_->set_fd_handler(fd.get(), {});
  }
}

void ServedLoop::note(TimePoint now) {
  constexpr nanoseconds kApart = std::chrono::milliseconds(1);
  if (samples_.empty() || now - samples_.back().time >= kApart) {
    samples_.push_back({.time = now, .polled = context_->stats().polled});
  }
  if (waits_.size() < waits_to_record_ && recording_.load(std::memory_order_relaxed)) {
    waits_.push_back(now - waits_since_);
  }
}

double ServedLoop::largest_share() const {
  constexpr nanoseconds kWindow = std::chrono::milliseconds(100);
  double largest = 0;
  std::size_t end = 0;
  for (const Sample& begin : samples_) {
    while (end < samples_.size() && samples_[end].time - begin.time < kWindow) {
      ++end;
    }
    if (end == samples_.size()) {
      break;
    }
    const std::chrono::duration<double> polled = samples_[end].polled - begin.polled;
    const std::chrono::duration<double> time = samples_[end].time - begin.time;
    largest = std::max(largest, polled / time);
  }
  return largest;
}

}  // namespace coaio::bench
