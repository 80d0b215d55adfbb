#include <liburing.h>
#include <poll.h>
#include <sys/epoll.h>

#include <array>
#include <cerrno>
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

using namespace internal;
namespace {

// What a careful loop keeps of each descriptor. An event names its record by number and generation,
// for the descriptor may have been closed, and its number and its record used again, since the
// kernel took note.
struct Record {
  int fd = -1;
  std::uint32_t generation = 1;
};

struct Found {
  std::uint32_t record = 0;
  std::uint32_t events = 0;
};

class Records {
 public:
  std::uint64_t add(int fd) {
    records_.push_back({.fd = fd});
    return std::uint64_t{1} << 32 | (records_.size() - 1);
  }
  void drop_last() { records_.pop_back(); }

  // Notes the event of a live record.
  void find(std::uint64_t name, std::uint32_t events) {
    const auto record = static_cast<std::uint32_t>(name);
    if (records_[record].generation == name >> 32) {
      found_.push_back({record, events});
    }
  }

  std::vector<Found>& found() { return found_; }
  int fd_of(const Found& found) const { return records_[found.record].fd; }

 private:
  std::vector<Record> records_;
  std::vector<Found> found_;
};

// A one-shot or edge-triggered entry rests, its number negated, from its report until it is asked
// for again.
class BarePpoll final : public Contender {
 public:
  explicit BarePpoll(Trigger trigger) : rests_(trigger != Trigger::kLevel) {}

  void watch(int fd) override {
    array_.push_back({.fd = fd, .events = POLLIN, .revents = 0});
    names_.push_back(records_.add(fd));
  }

  std::size_t wait() override {
    int count = ppoll(array_.data(), array_.size(), nullptr, nullptr);
    check(count > 0 || errno == EINTR, "ppoll failed");
    records_.found().clear();
    for (std::size_t i = 0; count > 0; ++i) {
      if (array_[i].revents != 0) {
        --count;
        records_.find(names_[i], static_cast<std::uint16_t>(array_[i].revents));
        negate_if_rests(i);
      }
    }
    for (const Found& found : records_.found()) {
      negate_if_rests(found.record);
    }
    return records_.found().size();
  }

  void watch_and_forget(int fd) override {
    watch(fd);
    look();
    array_.pop_back();
    names_.pop_back();
    records_.drop_last();
    look();
  }

 private:
  void look() {
    const timespec now{};
    check(ppoll(array_.data(), array_.size(), &now, nullptr) >= 0, "ppoll failed");
  }

  void negate_if_rests(std::size_t i) {
    if (rests_) {
      array_[i].fd = ~array_[i].fd;
    }
  }

  bool rests_;
  Records records_;
  std::vector<pollfd> array_;
  std::vector<std::uint64_t> names_;
};

class BareEpoll final : public Contender {
 public:
  explicit BareEpoll(Trigger trigger)
      : set_(epoll_create1(EPOLL_CLOEXEC)),
        again_(trigger == Trigger::kOneShot),
        bits_(EPOLLIN | (again_                      ? EPOLLONESHOT
                         : trigger == Trigger::kEdge ? EPOLLET
                                                     : 0U)) {}

  void watch(int fd) override { control(EPOLL_CTL_ADD, fd, records_.add(fd)); }

  std::size_t wait() override {
    const int count = epoll_wait(set_.get(), buffer_.data(), buffer_.size(), -1);
    check(count > 0 || errno == EINTR, "epoll_wait failed");
    records_.found().clear();
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = buffer_[static_cast<std::size_t>(i)];
      records_.find(event.data.u64, event.events);
    }
    if (again_) {
      for (const Found& found : records_.found()) {
        control(EPOLL_CTL_MOD, records_.fd_of(found), std::uint64_t{1} << 32 | found.record);
      }
    }
    return records_.found().size();
  }

  void watch_and_forget(int fd) override {
    watch(fd);
    look();
    control(EPOLL_CTL_DEL, fd, 0);
    records_.drop_last();
    look();
  }

 private:
  void look() {
    check(epoll_wait(set_.get(), buffer_.data(), buffer_.size(), 0) >= 0, "epoll_wait failed");
  }

  void control(int operation, int fd, std::uint64_t name) {
    epoll_event event{.events = bits_, .data = {.u64 = name}};
    check(epoll_ctl(set_.get(), operation, fd, &event) == 0, "epoll_ctl failed");
  }

  UniqueFd set_;
  bool again_;
  std::uint32_t bits_;
  Records records_;
  std::array<epoll_event, 128> buffer_{};
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

  void watch(int fd) override { request(fd, records_.add(fd)); }

  std::size_t wait() override {
    const int result = io_uring_submit_and_wait(&ring_, 1);
    check(result >= 0 || result == -EINTR, "io_uring_enter failed");
    records_.found().clear();
    unsigned head = 0;
    unsigned count = 0;
    io_uring_cqe* cqe = nullptr;
    io_uring_for_each_cqe(&ring_, head, cqe) {
      ++count;
      check(cqe->res >= 0, "a poll request failed");
      records_.find(cqe->user_data, static_cast<std::uint32_t>(cqe->res));
      if ((cqe->flags & IORING_CQE_F_MORE) == 0) {
        ended_.push_back(cqe->user_data);
      }
    }
    io_uring_cq_advance(&ring_, count);
    for (const std::uint64_t name : ended_) {
      request(records_.fd_of({static_cast<std::uint32_t>(name)}), name);
    }
    ended_.clear();
    return records_.found().size();
  }

  void watch_and_forget(int fd) override {
    const std::uint64_t name = records_.add(fd);
    request(fd, name);
    io_uring_submit_and_get_events(&ring_);
    io_uring_sqe* sqe = next();
    io_uring_prep_cancel64(sqe, name, 0);
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    records_.drop_last();
    io_uring_submit_and_get_events(&ring_);
    io_uring_cq_advance(&ring_, io_uring_cq_ready(&ring_));
  }

 private:
  void request(int fd, std::uint64_t name) {
    io_uring_sqe* sqe = next();
    io_uring_prep_poll_add(sqe, fd, POLLIN);
    sqe->len = multishot_ ? IORING_POLL_ADD_MULTI : 0;
    io_uring_sqe_set_data64(sqe, name);
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
  Records records_;
  std::vector<std::uint64_t> ended_;
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
