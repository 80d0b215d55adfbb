// Interleavings: all sequences of the steps of a few tasks and of other threads on one
// synchronisation object, each compared with a model.
//
// An object decides each of its operations in one go under its own mutex. So what threads can do to
// each other on one object is the order of these decisions, and all sequences of steps up to a
// length are all interleavings of that length. The steps:
//
//   start i     task i begins its one operation
//   cancel i    cancellation of task i is requested; it is delivered by the next turn
//   turn        the loop runs until nothing happens any more
//   other n     what another thread may do at any moment: the scene says which n there are
//
// A scene has two classes. The model is copyable; the object has the same steps for real:
//
//   struct Model {
//     static constexpr int kTasks, kOthers;
//     bool start(int task);              // false: not now; leaves the model as it was
//     void withdraw(int task);           // the cancellation is delivered; may come too late
//     void turn();                       // tasks that were granted have gone on
//     bool other(int n);                 // false: not now
//     std::string state() const;         // after a turn: what became of each task, and the object
//   };
//   struct Object {
//     Task<void> operation(int task);    // counts its ends
//     void other(int n);
//     std::string state() const;
//     Owners<...> owners;                // what tasks own, and how many operations have ended
//   };

#ifndef COAIO_TESTS_CORO_SYNC_INTERLEAVINGS_H_
#define COAIO_TESTS_CORO_SYNC_INTERLEAVINGS_H_

#include <array>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "coro/run.h"
#include "coro/task.h"
#include "coro/task_group.h"
#include "coro/this_task.h"
#include "doctest/doctest.h"
#include "runtime/context.h"

namespace coaio::testing {

template <typename Model, typename Object>
class Interleavings {
 public:
  Interleavings(Context& context, Model initial) : context_(context), initial_(std::move(initial)) {
    context.bind();
  }

  // Tries every sequence of `length` steps that the model allows. Returns how many there were.
  std::size_t try_all(std::size_t length, const auto& make_object) {
    sequences_ = 0;
    extend({.model = initial_}, {}, length, make_object);
    return sequences_;
  }

 private:
  static constexpr int kTurn = 2 * Model::kTasks;
  static constexpr int kSteps = kTurn + 1 + Model::kOthers;

  struct Prefix {
    Model model;
    std::vector<int> requests{};  // of cancellations, until the next turn
    std::array<bool, Model::kTasks> started{};
    std::array<bool, Model::kTasks> cancelled{};
    bool just_turned = false;
  };

  static std::string name(int step) {
    return step < Model::kTasks ? absl::StrCat("start ", step)
           : step < kTurn       ? absl::StrCat("cancel ", step - Model::kTasks)
           : step == kTurn      ? "turn"
                                : absl::StrCat("other ", step - kTurn - 1);
  }

  // False if the step is not possible, or would change nothing.
  static bool apply(Prefix& prefix, int step) {
    if (step < Model::kTasks) {
      if (std::exchange(prefix.started[step], true)) {
        return false;
      }
      turn(prefix);  // a task comes to its operation in a turn, after what was queued before
      if (!prefix.model.start(step)) {
        return false;
      }
      prefix.model.turn();
      return true;
    }
    if (step < kTurn) {
      const int task = step - Model::kTasks;
      if (!prefix.started[task] || std::exchange(prefix.cancelled[task], true)) {
        return false;
      }
      prefix.requests.push_back(task);
      prefix.just_turned = false;
      return true;
    }
    if (step == kTurn) {
      return !prefix.just_turned && (turn(prefix), true);
    }
    prefix.just_turned = false;
    return prefix.model.other(step - kTurn - 1);
  }

  static void turn(Prefix& prefix) {
    for (const int task : prefix.requests) {
      prefix.model.withdraw(task);
    }
    prefix.requests.clear();
    prefix.model.turn();
    prefix.just_turned = true;
  }

  void extend(const Prefix& prefix, std::vector<int> steps, std::size_t length,
              const auto& make_object) {
    if (steps.size() == length) {
      ++sequences_;
      replay(steps, make_object);
      return;
    }
    for (int step = 0; step < kSteps; ++step) {
      Prefix next = prefix;
      if (apply(next, step)) {
        steps.push_back(step);
        extend(next, steps, length, make_object);
        steps.pop_back();
      }
    }
  }

  void settle() {
    while (context_.poll(false)) {
    }
  }

  void replay(const std::vector<int>& steps, const auto& make_object) {
    const std::unique_ptr<Object> object = make_object();
    std::array<std::optional<TaskGroup>, Model::kTasks> groups;
    for (auto& group : groups) {
      group.emplace(TaskEnv{.context = context_, .token = {}});
    }
    Prefix expected{.model = initial_};
    std::string story;
    int started = 0;
    for (const int step : steps) {
      absl::StrAppend(&story, name(step), ", ");
      apply(expected, step);
      if (step < Model::kTasks) {
        settle();
        groups[step]->spawn(object->operation(step));
        ++started;
        settle();
      } else if (step < kTurn) {
        groups[step - Model::kTasks]->cancel();
      } else if (step == kTurn) {
        settle();
      } else {
        object->other(step - kTurn - 1);
      }
      if (expected.just_turned) {
        compare(object->state(), expected.model.state(), story);
      }
    }
    for (auto& group : groups) {
      group->cancel();
    }
    settle();
    object->owners.release_all([this] { settle(); });
    compare(absl::StrCat(object->owners.ends), absl::StrCat(started), story + "all end once");
    for (auto& group : groups) {
      run(context_, join(*group));
    }
  }

  // A variable for the status, because g++ 12 does not see its type in a template.
  static Task<void> join(TaskGroup& tasks) {
    const absl::Status status = co_await tasks.join();
    status.IgnoreError();
  }

  // CHECK is slow, and called for each of millions of steps.
  static void compare(const std::string& is, const std::string& expected,
                      const std::string& story) {
    if (is != expected) {
      CAPTURE(story);
      CHECK(is == expected);
    }
  }

  Context& context_;
  Model initial_;
  std::size_t sequences_ = 0;
};

}  // namespace coaio::testing

#endif  // COAIO_TESTS_CORO_SYNC_INTERLEAVINGS_H_
