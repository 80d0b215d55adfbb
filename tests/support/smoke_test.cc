#include <liburing.h>
#include <coroutine>
#include <exception>

#include "absl/flags/flag.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_format.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "doctest/doctest.h"
#include "tests/support/skipped.h"

ABSL_FLAG(int, smoke, 3, "");

struct T { struct promise_type { T get_return_object(){return {};} std::suspend_never initial_suspend() noexcept {return {};} std::suspend_never final_suspend() noexcept {return {};} void return_void(){} void unhandled_exception(){std::terminate();} }; };
T co(int& x) { x = 7; co_return; }

TEST_CASE("smoke") {
  absl::StatusOr<int> r = absl::InternalError(absl::StrFormat("%d", absl::GetFlag(FLAGS_smoke)));
  CHECK(r.status().message() == "3");
  absl::Mutex m; m.Lock(); m.Unlock();
  CHECK(absl::FormatDuration(absl::Seconds(2)) == "2s");
  int x = 0; co(x); CHECK(x == 7);
  io_uring ring;
  int e = io_uring_queue_init(4, &ring, IORING_SETUP_R_DISABLED);
  if (e != 0) return coaio::testing::report_skipped("io_uring is refused");
  if (e == 0) { CHECK(io_uring_enable_rings(&ring) == 0); io_uring_queue_exit(&ring); }
}
