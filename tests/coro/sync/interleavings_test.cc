// All interleavings of a few operations on one object, compared with a model: nothing is lost,
// nothing is doubled, the order is that of asking, and each operation completes once.

#include "tests/coro/sync/interleavings.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "coro/sync/channel.h"
#include "coro/sync/mutex.h"
#include "coro/sync/semaphore.h"
#include "coro/task.h"
#include "doctest/doctest.h"
#include "tests/support/contexts.h"
#include "tests/support/sanitized.h"

namespace coaio::testing {
namespace {

// Steps of a sequence: the number of sequences grows by a factor of five or so with each.
constexpr std::size_t kLength = kSanitized ? 5 : 6;

// --- permits and locks --------------------------------------------------------------------------

// Three tasks that ask for a permit, of which the second asks for `kSecond`. Each keeps its permits
// until "other 0" takes them from the task that has had permits longest. "Other 1", if there is
// one, adds a permit, at most twice.
template <std::size_t kSecond, int kOtherSteps>
struct PermitModel {
  static constexpr int kTasks = 3;
  static constexpr int kOthers = kOtherSteps;
  static constexpr std::size_t count(int task) { return task == 1 ? kSecond : 1; }

  bool start(int task) {
    waiting.push_back(task);
    became[task] = '?';
    grant();
    return true;
  }
  void withdraw(int task) {
    const auto found = std::find(waiting.begin(), waiting.end(), task);
    if (found != waiting.end()) {
      waiting.erase(found);
      became[task] = 'C';
      grant();
    }
  }
  void turn() {
    owning.insert(owning.end(), granted.begin(), granted.end());
    granted.clear();
  }
  bool other(int n) {
    if (n == 0) {
      if (owning.empty()) {
        return false;
      }
      available += count(owning.front());
      became[owning.front()] = 'r';
      owning.pop_front();
    } else if (added == 2) {
      return false;
    } else {
      ++added;
      ++available;
    }
    grant();
    return true;
  }
  void grant() {
    while (!waiting.empty() && count(waiting.front()) <= available) {
      available -= count(waiting.front());
      became[waiting.front()] = 'o';
      granted.push_back(waiting.front());
      waiting.pop_front();
    }
  }
  std::string state() const { return absl::StrCat(became, " ", available); }

  std::size_t available;
  int added = 0;
  std::deque<int> waiting{};
  std::deque<int> granted{};
  std::deque<int> owning{};
  std::string became = "...";
};

// What tasks own, in the order of their resumptions, and what became of each task.
template <typename Owned>
struct Owners {
  void ended(int task, absl::StatusOr<Owned> result) {
    ++ends;
    became[task] = result.ok() ? 'o' : 'C';
    if (result.ok()) {
      owning.emplace_back(task, *std::move(result));
    }
  }
  void release_first() {
    became[owning.front().first] = 'r';
    owning.pop_front();
  }
  // A lock that is given up may give the lock to a task.
  void release_all(const std::function<void()>& settle) {
    while (!owning.empty()) {
      release_first();
      settle();
    }
  }

  int ends = 0;
  std::string became = "...";
  std::deque<std::pair<int, Owned>> owning{};
};

using SemaphoreModel = PermitModel<2, 2>;

struct SemaphoreObject {
  explicit SemaphoreObject(std::size_t permits) : semaphore(permits) {}

  Task<void> operation(int task) {
    owners.became[task] = '?';
    absl::StatusOr<Semaphore::Permits> permits =
        co_await semaphore.acquire(SemaphoreModel::count(task));
    owners.ended(task, std::move(permits));
  }
  void other(int n) {
    if (n == 0) {
      owners.release_first();
    } else {
      semaphore.release();
    }
  }
  std::string state() const { return absl::StrCat(owners.became, " ", semaphore.available()); }

  Semaphore semaphore;
  Owners<Semaphore::Permits> owners;
};

using MutexModel = PermitModel<1, 1>;

struct MutexObject {
  Task<void> operation(int task) {
    owners.became[task] = '?';
    absl::StatusOr<Mutex::Lock> lock = co_await mutex.lock();
    owners.ended(task, std::move(lock));
  }
  void other(int) { owners.release_first(); }
  std::string state() {
    return absl::StrCat(owners.became, " ", mutex.try_lock().has_value() ? 1 : 0);
  }

  Mutex mutex;
  Owners<Mutex::Lock> owners;
};

TEST_CASE("a semaphore does as its model in every interleaving of three tasks") {
  const auto context = make_context();
  for (const std::size_t permits : {0, 1, 2}) {
    Interleavings<SemaphoreModel, SemaphoreObject> all(*context, {.available = permits});
    const std::size_t tried =
        all.try_all(kLength, [&] { return std::make_unique<SemaphoreObject>(permits); });
    CHECK(tried > 100);
  }
}

TEST_CASE("a mutex does as its model in every interleaving of three tasks") {
  const auto context = make_context();
  Interleavings<MutexModel, MutexObject> all(*context, {.available = 1});
  const std::size_t tried =
      all.try_all(kLength + 1, [] { return std::make_unique<MutexObject>(); });
  CHECK(tried > 100);
}

// --- channels -----------------------------------------------------------------------------------

// Tasks 0 and 1 send "A" and "B", task 2 receives one element, task 3 receives a batch of at least
// two and at most three. Other threads: 0 tries to send "1", then "2"; 1 tries to receive; 2
// closes.
constexpr std::size_t kBatch = 3;

struct ChannelModel {
  static constexpr int kTasks = 4;
  static constexpr int kOthers = 3;

  static bool sends(int task) { return task < 2; }
  static char value(int task) { return static_cast<char>('A' + task); }
  static std::size_t most(int task) { return task == 2 ? 1 : kBatch; }
  static std::size_t least(int task) { return task == 2 ? 1 : 2; }

  bool start(int task) {
    if (sends(task)) {
      if (put(value(task))) {
        became[task] = "ok";
      } else {
        closed ? void(became[task] = "closed") : senders.push_back(task);
      }
      return true;
    }
    while (got[task].size() < most(task) && (!buffer.empty() || !senders.empty())) {
      got[task] += take();
    }
    if (got[task].size() >= least(task) || closed) {
      end(task, "end");
    } else {
      receivers.push_back(task);
    }
    return true;
  }

  void withdraw(int task) {
    auto& queue = sends(task) ? senders : receivers;
    const auto found = std::find(queue.begin(), queue.end(), task);
    if (found != queue.end()) {
      queue.erase(found);
      end(task, "cancelled");
    }
  }

  void turn() {}

  bool other(int n) {
    if (n == 0) {
      if (next > '3') {
        return false;
      }
      tried += put(next) ? "+" : "-";
      ++next;
    } else if (n == 1) {
      if (tried.size() > 3) {
        return false;
      }
      tried += buffer.empty() && senders.empty() ? '.' : take();
    } else if (std::exchange(closed, true)) {
      return false;
    } else {
      for (const int task : senders) {
        end(task, "closed");
      }
      for (const int task : receivers) {
        end(task, "end");
      }
      senders.clear();
      receivers.clear();
    }
    return true;
  }

  // What the task has got so far is its result.
  void end(int task, const std::string& otherwise) {
    became[task] = got[task].empty() ? otherwise : got[task];
  }
  bool put(char element) {
    if (closed) {
      return false;
    }
    if (!receivers.empty()) {
      const int task = receivers.front();
      got[task] += element;
      if (got[task].size() >= least(task)) {
        end(task, "");
        receivers.pop_front();
      }
      return true;
    }
    if (buffer.size() == capacity) {
      return false;
    }
    buffer.push_back(element);
    return true;
  }
  char take() {
    if (!senders.empty()) {
      became[senders.front()] = "ok";
      buffer.push_back(value(senders.front()));
      senders.pop_front();
    }
    const char element = buffer.front();
    buffer.pop_front();
    return element;
  }

  std::string state() const {
    return absl::StrCat(became[0], ",", became[1], ",", became[2], ",", became[3], " ", tried, " ",
                        buffer.size());
  }

  std::size_t capacity;
  bool closed = false;
  char next = '1';
  std::string tried{};
  std::deque<char> buffer{};
  std::deque<int> senders{};
  std::deque<int> receivers{};
  std::array<std::string, kTasks> got{};
  std::array<std::string, kTasks> became{};
};

struct ChannelObject {
  explicit ChannelObject(std::size_t capacity) : channel(capacity) {}

  static std::string word(const absl::Status& status) {
    return absl::IsCancelled(status) ? "cancelled" : absl::IsOutOfRange(status) ? "end" : "closed";
  }

  Task<void> operation(int task) {
    if (ChannelModel::sends(task)) {
      const absl::Status status = co_await channel.send(ChannelModel::value(task));
      became[task] = status.ok() ? "ok" : word(status);
    } else if (task == 2) {
      const absl::StatusOr<char> element = co_await channel.receive();
      became[task] = element.ok() ? std::string(1, *element) : word(element.status());
    } else {
      std::array<char, kBatch> batch{};
      const absl::StatusOr<std::size_t> count = co_await channel.receive(batch, 2);
      became[task] = count.ok() ? std::string(batch.data(), *count) : word(count.status());
    }
    ++owners.ends;
  }
  void other(int n) {
    if (n == 0) {
      tried += channel.try_send(char{next}) ? "+" : "-";
      ++next;
    } else if (n == 1) {
      tried += channel.try_receive().value_or('.');
    } else {
      channel.close();
    }
  }
  std::string state() const {
    return absl::StrCat(became[0], ",", became[1], ",", became[2], ",", became[3], " ", tried, " ",
                        channel.size());
  }

  Channel<char> channel;
  char next = '1';
  std::string tried;
  std::array<std::string, ChannelModel::kTasks> became;
  Owners<char> owners;
};

TEST_CASE("a channel does as its model in every interleaving of two senders and two receivers") {
  const auto context = make_context();
  for (const std::size_t capacity : {0, 1, 2}) {
    Interleavings<ChannelModel, ChannelObject> all(*context, {.capacity = capacity});
    const std::size_t tried =
        all.try_all(kLength - 1, [&] { return std::make_unique<ChannelObject>(capacity); });
    CHECK(tried > 100);
  }
}

}  // namespace
}  // namespace coaio::testing
