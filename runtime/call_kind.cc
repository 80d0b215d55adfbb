#include "runtime/call_kind.h"

#include <cstddef>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace coaio::internal {
namespace {

// "a timer", or "the timer "tick"".
std::string with_name(absl::string_view article, absl::string_view noun, const char* name) {
  return name == nullptr ? absl::StrCat(article, " ", noun)
                         : absl::StrCat("the ", noun, " \"", name, "\"");
}

std::string poll_source(const CallInfo& call) {
  std::string source = with_name(call.fd < 0 ? "a" : "the", "poll source", call.name);
  if (call.fd >= 0) {
    absl::StrAppend(&source, " with doorbell ", call.fd);
  }
  return source;
}

std::string handler(const CallInfo& call) {
  std::string handler = absl::StrCat("the handler of descriptor ", call.fd);
  if (call.name != nullptr) {
    absl::StrAppend(&handler, " (\"", call.name, "\")");
  }
  return handler;
}

}  // namespace

std::string describe(const CallInfo& call) {
  switch (call.kind) {
    case CallKind::kOther:
      break;
    case CallKind::kBottomHalf:
      return with_name("a", "bottom half", call.name);
    case CallKind::kIdleBottomHalf:
      return with_name("an", "idle bottom half", call.name);
    case CallKind::kPosted:
      return "a posted function";
    case CallKind::kHandler:
      return handler(call);
    case CallKind::kTimer:
      return with_name("a", "timer", call.name);
    case CallKind::kPollSource:
      return poll_source(call);
    case CallKind::kTask:
      return "a task";
    case CallKind::kTaskAfterSleep:
      return "a task (after sleep_for)";
    case CallKind::kTaskAfterFd:
      return call.fd < 0 ? "a task that waited for a descriptor that is not open"
                         : absl::StrCat("a task that waited for descriptor ", call.fd);
    case CallKind::kTaskAfterSource:
      return absl::StrCat("a task that waited for ", poll_source(call));
    case CallKind::kGroupDeadline:
      return "the deadline of a task group";
    case CallKind::kCancellation:
      return "a request for cancellation";
  }
  return "a callback";
}

std::string describe_pending(CallKind kind, std::size_t count) {
  const bool one = count == 1;
  const auto counted = [&](absl::string_view singular, absl::string_view plural) {
    return absl::StrCat(count, " ", one ? singular : plural);
  };
  switch (kind) {
    case CallKind::kOther:
      break;
    case CallKind::kBottomHalf:
      return counted("scheduled bottom half", "scheduled bottom halves");
    case CallKind::kIdleBottomHalf:
      return counted("scheduled idle bottom half", "scheduled idle bottom halves");
    case CallKind::kPosted:
      return counted("posted function", "posted functions");
    case CallKind::kHandler:
      return counted("handler", "handlers");
    case CallKind::kTimer:
      return counted("armed timer", "armed timers");
    case CallKind::kPollSource:
      return counted("poll source", "poll sources");
    case CallKind::kTask:
      return counted("task that is about to go on", "tasks that are about to go on");
    case CallKind::kTaskAfterSleep:
      return counted("task that sleeps", "tasks that sleep");
    case CallKind::kTaskAfterFd:
      return counted("task that waits for a descriptor", "tasks that wait for a descriptor");
    case CallKind::kTaskAfterSource:
      return counted("task that waits for a poll source", "tasks that wait for a poll source");
    case CallKind::kGroupDeadline:
      return counted("deadline of a task group", "deadlines of task groups");
    case CallKind::kCancellation:
      return counted("request for cancellation", "requests for cancellation");
  }
  return counted("scheduled callback", "scheduled callbacks");
}

}  // namespace coaio::internal
