// Contender: one way to wait for descriptors. coaio's monitors and bare system calls do the same
// work behind it, so that what differs is coaio.

#ifndef COAIO_BENCH_BACKENDS_CONTENDER_H_
#define COAIO_BENCH_BACKENDS_CONTENDER_H_

#include <array>
#include <cstddef>
#include <memory>
#include <string_view>

#include "backends/backend.h"
#include "backends/fd_monitor.h"

namespace coaio::bench {

inline constexpr std::array kBackends = {Backend::kPpoll, Backend::kEpoll, Backend::kIoUring};
inline constexpr std::array kTriggers = {Trigger::kOneShot, Trigger::kLevel, Trigger::kEdge};

std::string_view name_of(Backend backend);
std::string_view name_of(Trigger trigger);

class Contender {
 public:
  Contender() = default;
  Contender(const Contender&) = delete;
  Contender& operator=(const Contender&) = delete;
  virtual ~Contender() = default;

  // Watches the descriptor for input, from the next wait() on.
  virtual void watch(int fd) = 0;

  // Sleeps until something is ready, prepares all that was for the next time, and says how many it
  // was.
  virtual std::size_t wait() = 0;

  // Watches the descriptor, tells the kernel, removes it again, tells the kernel.
  virtual void watch_and_forget(int fd) = 0;
};

// Null where the back end is refused.
std::unique_ptr<Contender> make_coaio(Backend backend, Trigger trigger);

// The system calls of this back end, and a loop over what they return.
std::unique_ptr<Contender> make_bare(Backend backend, Trigger trigger);

}  // namespace coaio::bench

#endif  // COAIO_BENCH_BACKENDS_CONTENDER_H_
