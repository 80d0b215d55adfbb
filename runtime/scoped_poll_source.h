// ScopedPollSource: adds a poll source to a context, and removes it when this object is destroyed.
//
//   Inbox inbox(ring);
//   const ScopedPollSource added(context, inbox);
//
// Threads: the home thread of the context.
// Lifetime: the context and the source outlive it.

#ifndef COAIO_RUNTIME_SCOPED_POLL_SOURCE_H_
#define COAIO_RUNTIME_SCOPED_POLL_SOURCE_H_

#include "runtime/context.h"
#include "runtime/context_access.h"
#include "runtime/poll_source.h"

namespace coaio {

class ScopedPollSource {
 public:
  ScopedPollSource(Context& context, PollSource& source) : context_(context), source_(source) {
    internal::ContextAccess(context_).add(source_);
  }
  ScopedPollSource(const ScopedPollSource&) = delete;
  ScopedPollSource& operator=(const ScopedPollSource&) = delete;
  ~ScopedPollSource() { internal::ContextAccess(context_).remove(source_); }

 private:
  Context& context_;
  PollSource& source_;
};

}  // namespace coaio

#endif  // COAIO_RUNTIME_SCOPED_POLL_SOURCE_H_
