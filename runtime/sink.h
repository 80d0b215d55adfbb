// Sink: where a context says what an operator should know.
//
//   auto context = Context::create({.sink = standard_error_sink()});
//   auto other = Context::create({.sink = [](absl::string_view sentence) { log(sentence); }});
//
// coaio itself writes to standard error in two cases only: a failed check writes its sentence
// before abort(), and run(task) writes a sentence if it cannot create a context. A context counts
// its messages and keeps the last one (Context::messages(), last_message()), and calls its sink, if
// it has one.
//
// Threads: the home thread calls the sink inside the loop, a Watchdog calls it on the thread that
//   checks, and Context::tell_sink() calls it on the calling thread. The calls may overlap.
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
// signal: the sink drops a sentence if the pipe is full or has no reader. If standard error is a
// socket, the sink drops all sentences, because the peer may be a client. A service whose standard
// error is a socket to its supervisor needs a sink of its own.
// The sink opens a descriptor of its own when it is made. It therefore also works when the process
// has no free descriptor, and it does not write to a file that is opened as descriptor 2 later.
Sink standard_error_sink();

// The messages of one context.
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
