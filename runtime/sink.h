// Sink: where a context says what an operator should know.
//
//   auto context = Context::create({.sink = standard_error_sink()});
//   auto context = Context::create({.sink = [](absl::string_view sentence) { LOG(WARNING) << ...;
//   }});
//
// coaio itself writes to no descriptor of the program, apart from the sentence of a failed check
// before abort(), and run(task) when no context can be made. A context counts its messages and
// keeps the last one (Context::messages(), last_message()), and calls its sink, if it has one.
//
// Threads: a sink is called by the thread that has something to say: the home thread inside the
//   loop, or the thread of a Watchdog. Calls may overlap.
// Lifetime: what the sink refers to outlives the context.
// Errors: a sink does not throw, and should not block: the loop waits for it.

#ifndef COAIO_RUNTIME_SINK_H_
#define COAIO_RUNTIME_SINK_H_

#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <utility>

#include "absl/strings/string_view.h"

namespace coaio {

// A sentence is one line without a line feed.
using Sink = std::function<void(absl::string_view sentence)>;

// Writes "coaio: sentence" to the file that is standard error now. Never blocks and raises no
// signal: a sentence that finds a full pipe, or a pipe without a reader, is dropped. A socket is
// refused, because it may be a connection to a client: everything is dropped then, and a service
// whose standard error is a socket to its supervisor needs a sink of its own.
// The sink keeps one descriptor, so that it works when there is no further one, and so that it does
// not write to whatever is descriptor 2 later.
Sink standard_error_sink();

// What a context has said.
class Messages {
 public:
  explicit Messages(Sink sink) : sink_(std::move(sink)) {}

  void tell(absl::string_view sentence);
  std::uint64_t count() const;
  std::string last() const;

 private:
  const Sink sink_;
  mutable std::mutex mutex_;
  std::uint64_t count_ = 0;  // guarded by mutex_
  std::string last_;         // guarded by mutex_
};

}  // namespace coaio

#endif  // COAIO_RUNTIME_SINK_H_
