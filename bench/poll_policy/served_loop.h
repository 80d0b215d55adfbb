// ServedLoop: a context on a thread and a CPU of its own, which answers the partner's requests and
// keeps account of its waits.

#ifndef COAIO_BENCH_POLL_POLICY_SERVED_LOOP_H_
#define COAIO_BENCH_POLL_POLICY_SERVED_LOOP_H_

#include <pthread.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <thread>
#include <vector>

#include "backends/unique_fd.h"
#include "bench/poll_policy/link.h"
#include "runtime/context.h"
#include "runtime/time/clock.h"

namespace coaio::bench {

class ServedLoop {
 public:
  // `beside`: descriptors that the loop hears of and only empties. Ends the program if the back end
  // cannot be had.
  ServedLoop(const ContextOptions& options, int cpu, LinkEnd& link,
             const std::vector<UniqueFd>& beside, std::size_t waits_to_record);
  ServedLoop(const ServedLoop&) = delete;
  ServedLoop& operator=(const ServedLoop&) = delete;
  ~ServedLoop();

  pthread_t thread() { return thread_.native_handle(); }

  // From now on the waits are recorded.
  void begin_record() { recording_.store(true); }

  // Ends the loop. What follows is for afterwards.
  void stop();

  const ContextStats& stats() const { return context_->stats(); }
  // From the end of one handler to the begin of the next.
  const std::vector<std::chrono::nanoseconds>& waits() const { return waits_; }
  // The largest share of any 100 ms that went to polling, as seen at requests 1 ms apart or more.
  double largest_share() const;

 private:
  struct Sample {
    TimePoint time;
    std::chrono::nanoseconds polled;
  };

  void serve(LinkEnd& link);
  void note(TimePoint now);

  std::unique_ptr<Context> context_;
  const std::vector<UniqueFd>& beside_;
  std::vector<Sample> samples_;
  std::vector<std::chrono::nanoseconds> waits_;
  std::size_t waits_to_record_;
  TimePoint waits_since_{};
  std::atomic<bool> recording_{false};
  std::thread thread_;
};

}  // namespace coaio::bench

#endif  // COAIO_BENCH_POLL_POLICY_SERVED_LOOP_H_
