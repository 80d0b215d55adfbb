#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "backends/backend.h"
#include "backends/check.h"
#include "backends/events.h"
#include "backends/fd_monitor.h"
#include "bench/backends/contender.h"

namespace coaio::bench {

using namespace internal;
namespace {

template <Trigger kTrigger>
class CoaioContender final : public Contender {
 public:
  explicit CoaioContender(std::unique_ptr<FdMonitor> monitor) : monitor_(std::move(monitor)) {}

  void watch(int fd) override {
    const Key key{.slot = static_cast<std::uint32_t>(descriptors_.size()), .generation = 1};
    descriptors_.push_back(fd);
    arm(key);
  }

  std::size_t wait() override {
    ready_.clear();
    check(monitor_->wait(FdMonitor::kForever, ready_).ok(), "a benchmark cannot wait");
    for ([[maybe_unused]] const FdEvent& ready : ready_) {
      if constexpr (kTrigger == Trigger::kOneShot) {
        arm(ready.key);
      } else if constexpr (kTrigger == Trigger::kEdge) {
        monitor_->want(ready.key, Events::kIn);
      }
    }
    return ready_.size();
  }

  void watch_and_forget(int fd) override {
    const Key key{.slot = static_cast<std::uint32_t>(descriptors_.size()), .generation = ++pairs_};
    monitor_->arm(fd, key, Events::kIn, kTrigger);
    tell();
    monitor_->disarm(key);
    tell();
  }

 private:
  void arm(Key key) {
    monitor_->arm(descriptors_[key.slot], key, Events::kIn, kTrigger);
    if constexpr (kTrigger == Trigger::kEdge) {
      monitor_->want(key, Events::kIn);
    }
  }

  void tell() {
    ready_.clear();
    check(monitor_->wait(std::chrono::nanoseconds(0), ready_).ok(), "a benchmark cannot wait");
  }

  std::unique_ptr<FdMonitor> monitor_;
  std::vector<int> descriptors_;
  std::vector<FdEvent> ready_;
  std::uint32_t pairs_ = 0;
};

}  // namespace

std::string_view name_of(Backend backend) {
  switch (backend) {
    case Backend::kPpoll:
      return "ppoll";
    case Backend::kEpoll:
      return "epoll";
    case Backend::kIoUring:
      return "io_uring";
    case Backend::kAuto:
      break;
  }
  return "auto";
}

std::string_view name_of(Trigger trigger) {
  switch (trigger) {
    case Trigger::kOneShot:
      return "one-shot";
    case Trigger::kLevel:
      return "level";
    case Trigger::kEdge:
      break;
  }
  return "edge";
}

std::unique_ptr<Contender> make_coaio(Backend backend, Trigger trigger) {
  absl::StatusOr<SelectedMonitor> selected = select_monitor(backend);
  if (!selected.ok()) {
    return nullptr;
  }
  switch (trigger) {
    case Trigger::kOneShot:
      return std::make_unique<CoaioContender<Trigger::kOneShot>>(std::move(selected->monitor));
    case Trigger::kLevel:
      return std::make_unique<CoaioContender<Trigger::kLevel>>(std::move(selected->monitor));
    case Trigger::kEdge:
      break;
  }
  return std::make_unique<CoaioContender<Trigger::kEdge>>(std::move(selected->monitor));
}

}  // namespace coaio::bench
