// CallKind: what it is that a loop calls. A Watchdog names it, and so does a context that is
// destroyed before what uses it.

#ifndef COAIO_RUNTIME_CALL_KIND_H_
#define COAIO_RUNTIME_CALL_KIND_H_

#include <cstddef>
#include <cstdint>
#include <string>

namespace coaio::internal {

enum class CallKind : std::uint8_t {
  kOther,  // a node of a user's own type
  kBottomHalf,
  kIdleBottomHalf,
  kPosted,
  kHandler,
  kTimer,
  kPollSource,
  kTask,             // from the queue: it is new, has yielded, or another call has queued it
  kTaskAfterSleep,   // resumed by a timer
  kTaskAfterFd,      // resumed by a descriptor
  kTaskAfterSource,  // resumed by a poll source
  kGroupDeadline,
  kCancellation,
};
inline constexpr std::size_t kCallKinds = static_cast<std::size_t>(CallKind::kCancellation) + 1;

struct CallInfo {
  CallKind kind = CallKind::kOther;
  const char* name = nullptr;  // given by the user; null if none
  int fd = -1;                 // of a handler, a doorbell, or what a task waited for
};

// "the bottom half \"flush\"", "a task that waited for descriptor 7".
std::string describe(const CallInfo& call);

// The same for several of a kind that wait for their turn: "2 tasks that sleep".
std::string describe_pending(CallKind kind, std::size_t count);

}  // namespace coaio::internal

#endif  // COAIO_RUNTIME_CALL_KIND_H_
