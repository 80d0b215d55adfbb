// Contexts for tests: one of each back end, and one that another thread runs.
//
//   TEST_CASE("a sleep ends at its time") {
//     on_every_context([](Context& context) { ... });
//   }

#ifndef COAIO_TESTS_SUPPORT_CONTEXTS_H_
#define COAIO_TESTS_SUPPORT_CONTEXTS_H_

#include <functional>
#include <memory>
#include <vector>

#include "backends/backend.h"
#include "runtime/context.h"
#include "runtime/context_thread.h"

namespace coaio::testing {

// What this machine lets run. `report`: the others are reported as skipped.
std::vector<Backend> available_back_ends(bool report = false);

// A context that must be possible. Polling does not give way on it: whether the CPUs are crowded is
// the machine's business, and no test's.
std::unique_ptr<Context> make_context(ContextOptions options = {});

// Runs the clause on a fresh context of each back end that this machine lets run, bound to this
// thread; which one shows in the report of a failure. The clause has a minute for each.
void on_every_context(const std::function<void(Context&)>& clause, ContextOptions options = {});

// A context thread that must be possible.
class ContextThread : public coaio::ContextThread {
 public:
  explicit ContextThread(ContextOptions options = {});
};

}  // namespace coaio::testing

#endif  // COAIO_TESTS_SUPPORT_CONTEXTS_H_
