#include <liburing.h>
#include <poll.h>
#include <sys/epoll.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "backends/backend.h"
#include "backends/check.h"
#include "backends/fd_monitor.h"
#include "backends/unique_fd.h"
#include "bench/backends/contender.h"

namespace coaio::bench {
namespace {

// A one-shot or edge-triggered entry rests, its number negated, from its report until it is asked for again.
class BarePpoll final : public Contender {
 public:
  explicit BarePpoll(Trigger trigger) : rests_(trigger != Trigger::kLevel) {}

  void watch(int fd) override { array_.push_back({.fd = fd, .events = POLLIN, .revents = 0}); }

  std::size_t wait() override {
    const int count = ppoll(array_.data(), array_.size(), nullptr, nullptr);
    check(count > 0, "ppoll failed");
    found_.clear();
    for (std::size_t i = 0; found_.size() < static_cast<std::size_t>(count); ++i) {
      if (array_[i].revents != 0) {
        found_.push_back(i);
        negate_if_rests(i);
      }
    }
    for (const std::size_t i : found_) {
      negate_if_rests(i);
    }
    return found_.size();
  }

  void watch_and_forget(int fd) override {
    const timespec now{};
    watch(fd);
    check(ppoll(array_.data(), array_.size(), &now, nullptr) >= 0, "ppoll failed");
    array_.pop_back();
    check(ppoll(array_.data(), array_.size(), &now, nullptr) >= 0, "ppoll failed");
  }

 private:
  void negate_if_rests(std::size_t i) {
    if (rests_) {
      array_[i].fd = ~array_[i].fd;
    }
  }

  bool rests_;
  std::vector<pollfd> array_;
  std::vector<std::size_t> found_;
};

class BareEpoll final : public Contender {
 public:
  explicit BareEpoll(Trigger trigger)
      : set_(epoll_create1(EPOLL_CLOEXEC)),
        again_(trigger == Trigger::kOneShot),
        bits_(EPOLLIN | (again_ ? EPOLLONESHOT : trigger == Trigger::kEdge ? EPOLLET : 0U)) {}

  void watch(int fd) override { control(EPOLL_CTL_ADD, fd); }

  std::size_t wait() override {
    const int count = epoll_wait(set_.get(), buffer_.data(), buffer_.size(), -1);
    check(count > 0, "epoll_wait failed");
    found_.clear();
    for (int i = 0; i < count; ++i) {
      const int fd = buffer_[static_cast<std::size_t>(i)].data.fd;
      found_.push_back(fd);
      if (again_) {
        control(EPOLL_CTL_MOD, fd);
      }
    }
    return found_.size();
  }

  void watch_and_forget(int fd) override {
    control(EPOLL_CTL_ADD, fd);
    check(epoll_wait(set_.get(), buffer_.data(), buffer_.size(), 0) >= 0, "epoll_wait failed");
    control(EPOLL_CTL_DEL, fd);
    check(epoll_wait(set_.get(), buffer_.data(), buffer_.size(), 0) >= 0, "epoll_wait failed");
  }

 private:
  void control(int operation, int fd) {
    epoll_event event{.events = bits_, .data = {.fd = fd}};
    check(epoll_ctl(set_.get(), operation, fd, &event) == 0, "epoll_ctl failed");
  }

  UniqueFd set_;
  bool again_;
  std::uint32_t bits_;
  std::array<epoll_event, 128> buffer_{};
  std::vector<int> found_;
};

class BareUring final : public Contender {
 public:
  explicit BareUring(Trigger trigger) : multishot_(trigger == Trigger::kEdge) {
    io_uring_params params{};
    params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE;
    params.cq_entries = 8192;
    check(io_uring_queue_init_params(256, &ring_, &params) == 0, "no ring");
  }
  ~BareUring() override { io_uring_queue_exit(&ring_); }

  void watch(int fd) override {
    io_uring_sqe* sqe = next();
    if (multishot_) {
      io_uring_prep_poll_multishot(sqe, fd, POLLIN);
    } else {
      io_uring_prep_poll_add(sqe, fd, POLLIN);
    }
    io_uring_sqe_set_data64(sqe, static_cast<std::uint64_t>(fd));
  }

  std::size_t wait() override {
    check(io_uring_submit_and_wait(&ring_, 1) >= 0, "io_uring_enter failed");
    return reap();
  }

  void watch_and_forget(int fd) override {
    watch(fd);
    io_uring_submit_and_get_events(&ring_);
    io_uring_sqe* sqe = next();
    io_uring_prep_cancel64(sqe, static_cast<std::uint64_t>(fd), 0);
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    io_uring_submit_and_get_events(&ring_);
    io_uring_cq_advance(&ring_, io_uring_cq_ready(&ring_));
  }

 private:
  std::size_t reap() {
    found_.clear();
    unsigned head = 0;
    io_uring_cqe* cqe = nullptr;
    io_uring_for_each_cqe(&ring_, head, cqe) {
      found_.push_back(static_cast<int>(cqe->user_data));
    }
    io_uring_cq_advance(&ring_, static_cast<unsigned>(found_.size()));
    if (!multishot_) {
      for (const int fd : found_) {
        watch(fd);
      }
    }
    return found_.size();
  }

  io_uring_sqe* next() {
    io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
    if (sqe == nullptr) {
      io_uring_submit(&ring_);
      sqe = io_uring_get_sqe(&ring_);
    }
    return sqe;
  }

  io_uring ring_{};
  bool multishot_;
  std::vector<int> found_;
};

}  // namespace

std::unique_ptr<Contender> make_bare(Backend backend, Trigger trigger) {
  switch (backend) {
    case Backend::kPpoll:
      return std::make_unique<BarePpoll>(trigger);
    case Backend::kEpoll:
      return std::make_unique<BareEpoll>(trigger);
    case Backend::kIoUring:
    case Backend::kAuto:
      break;
  }
  return std::make_unique<BareUring>(trigger);
}

}  // namespace coaio::bench
