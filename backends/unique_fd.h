// UniqueFd: owns a file descriptor and closes it.

#ifndef COAIO_BACKENDS_UNIQUE_FD_H_
#define COAIO_BACKENDS_UNIQUE_FD_H_

#include <unistd.h>

#include <utility>

namespace coaio {

class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(other.release()) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    reset(other.release());
    return *this;
  }
  ~UniqueFd() { reset(); }

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  int release() { return std::exchange(fd_, -1); }

  // The result of close(2) is ignored: Linux frees the descriptor even if close(2) fails, so a
  // second attempt could close the descriptor of another thread.
  void reset(int fd = -1) {
    if (const int old = std::exchange(fd_, fd); old >= 0) {
      ::close(old);
    }
  }

 private:
  int fd_ = -1;
};

}  // namespace coaio

#endif  // COAIO_BACKENDS_UNIQUE_FD_H_
