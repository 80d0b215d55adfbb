// coaio: C++20 coroutines on an event loop that polls before it sleeps. The one include a user
// needs.

#ifndef COAIO_COAIO_H_
#define COAIO_COAIO_H_

#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ < 13
#ifndef COAIO_ACCEPT_GCC12_COROUTINES
#warning g++ before 13 silently compiles everyday lines of coroutines wrongly: compile with clang. \
    Else look for such lines with tools/find_compiler_traps (docs/compilers.md), and silence this \
    with -DCOAIO_ACCEPT_GCC12_COROUTINES
#endif
#endif

// IWYU pragma: begin_exports
#include "backends/backend.h"
#include "backends/errno_status.h"
#include "coro/await_poll_source.h"
#include "coro/cancel.h"
#include "coro/completion.h"
#include "coro/io/io_result.h"
#include "coro/io/signals.h"
#include "coro/io/socket_address.h"
#include "coro/io/tcp_listener.h"
#include "coro/io/tcp_stream.h"
#include "coro/or_return.h"
#include "coro/readiness.h"
#include "coro/resume_on.h"
#include "coro/run.h"
#include "coro/sleep.h"
#include "coro/sync/channel.h"
#include "coro/sync/condition_variable.h"
#include "coro/sync/event.h"
#include "coro/sync/latch.h"
#include "coro/sync/mutex.h"
#include "coro/sync/semaphore.h"
#include "coro/sync/shared_mutex.h"
#include "coro/task.h"
#include "coro/task_group.h"
#include "coro/this_task.h"
#include "coro/with_task_group.h"
#include "coro/with_timeout.h"
#include "coro/yield.h"
#include "runtime/bottom_half.h"
#include "runtime/context.h"
#include "runtime/context_pool.h"
#include "runtime/context_thread.h"
#include "runtime/poll_source.h"
#include "runtime/polling/poll_policy.h"
#include "runtime/scoped_poll_source.h"
#include "runtime/sink.h"
#include "runtime/time/clock.h"
#include "runtime/time/timer.h"
#include "runtime/time/wall_timer.h"
#include "runtime/watchdog.h"
// IWYU pragma: end_exports

#endif  // COAIO_COAIO_H_
