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
namespace {

class CoaioContender final : public Contender {
 public:
  CoaioContender(std::unique_ptr<FdMonitor> monitor, Trigger trigger)
      : monitor_(std::move(monitor)), trigger_(trigger) {}

  void watch(int fd) override {
    const Key key{.slot = static_cast<std::uint32_t>(descriptors_.size()), .generation = 1};
    descriptors_.push_back(fd);
    arm(key);
  }

  std::size_t wait() override {
    ready_.clear();
    check(monitor_->wait(FdMonitor::kForever, ready_).ok(), "a benchmark cannot wait");
    for (const Ready& ready : ready_) {
      if (trigger_ == Trigger::kOneShot) {
        arm(ready.key);
      } else if (trigger_ == Trigger::kEdge) {
        monitor_->want(ready.key, Events::kIn);
      }
    }
    return ready_.size();
  }

  void watch_and_forget(int fd) override {
    const Key key{.slot = static_cast<std::uint32_t>(descriptors_.size()), .generation = ++pairs_};
    monitor_->arm(fd, key, Events::kIn, trigger_);
    tell();
    monitor_->disarm(key);
    tell();
  }

 private:
  void arm(Key key) {
    monitor_->arm(descriptors_[key.slot], key, Events::kIn, trigger_);
    if (trigger_ == Trigger::kEdge) {
      monitor_->want(key, Events::kIn);
    }
  }

  void tell() {
    ready_.clear();
    check(monitor_->wait(std::chrono::nanoseconds(0), ready_).ok(), "a benchmark cannot wait");
  }

  std::unique_ptr<FdMonitor> monitor_;
  Trigger trigger_;
  std::vector<int> descriptors_;
  std::vector<Ready> ready_;
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
  return std::make_unique<CoaioContender>(std::move(selected->monitor), trigger);
}

}  // namespace coaio::bench
