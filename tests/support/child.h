// run_in_child: a piece of a test in a process of its own, for what cannot be undone: sandboxes,
// resource limits, the environment.
//
//   CHECK(run_in_child([]() -> std::string {
//     refuse_system_calls({{.number = SYS_io_uring_setup, .error = EPERM}});
//     return select_monitor(Backend::kAuto).ok() ? "" : "nothing to fall back to";
//   }) == "");
//
// The child is a copy of the calling thread: there must be no other. doctest's checks say nothing
// to the parent, so the child returns what went wrong.

#ifndef COAIO_TESTS_SUPPORT_CHILD_H_
#define COAIO_TESTS_SUPPORT_CHILD_H_

#include <sys/types.h>

#include <functional>
#include <string>

namespace coaio::testing {

// Returns what the child returned, or how it died. The child has thirty seconds.
std::string run_in_child(const std::function<std::string()>& work);

// A copy of this process that does nothing, and so keeps open what is open now, until it ends with
// this object.
class IdleChild {
 public:
  IdleChild();
  IdleChild(const IdleChild&) = delete;
  IdleChild& operator=(const IdleChild&) = delete;
  ~IdleChild();

 private:
  pid_t pid_;
};

}  // namespace coaio::testing

#endif  // COAIO_TESTS_SUPPORT_CHILD_H_
