// Actors: tasks of one context that a test starts, steps and cancels one by one.
//
//   Actors actors(context);
//   actors.start("a", task());
//   actors.settle();                 // until nothing happens any more
//   actors.cancel("a");
//   actors.settle();
//
// The destructor cancels those that are left, and waits for them.

#ifndef COAIO_TESTS_CORO_SYNC_ACTORS_H_
#define COAIO_TESTS_CORO_SYNC_ACTORS_H_

#include <map>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "coro/run.h"
#include "coro/task.h"
#include "coro/task_group.h"
#include "coro/this_task.h"
#include "runtime/context.h"

namespace coaio::testing {

class Actors {
 public:
  explicit Actors(Context& context) : context_(context) { context.bind(); }
  Actors(const Actors&) = delete;
  Actors& operator=(const Actors&) = delete;
  ~Actors() {
    for (auto& [name, group] : groups_) {
      group->cancel();
    }
    join();
  }

  void start(const std::string& name, Task<void> task) {
    auto& group = groups_[name];
    if (group == nullptr) {
      group = std::make_unique<TaskGroup>(TaskEnv{.context = context_, .token = {}});
    }
    group->spawn(std::move(task));
  }

  void cancel(const std::string& name) { groups_.at(name)->cancel(); }

  bool ended(const std::string& name) const { return groups_.at(name)->size() == 0; }

  void settle() {
    while (context_.poll(false)) {
    }
  }

  // Waits until all have ended.
  void join() {
    for (auto& [name, group] : groups_) {
      run(context_,
          [](TaskGroup& tasks) -> Task<void> { (co_await tasks.join()).IgnoreError(); }(*group));
    }
  }

 private:
  Context& context_;
  std::map<std::string, std::unique_ptr<TaskGroup>> groups_;
};

}  // namespace coaio::testing

#endif  // COAIO_TESTS_CORO_SYNC_ACTORS_H_
