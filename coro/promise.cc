#include "coro/promise.h"

#include <coroutine>
#include <memory>
#include <utility>

#include "backends/check.h"
#include "coro/cancel.h"
#include "coro/cancel_relay.h"
#include "coro/first_resume.h"
#include "runtime/context.h"
#include "runtime/context_access.h"
#include "runtime/run_queue.h"

namespace coaio {

using namespace internal;

PromiseBase::~PromiseBase() {
  if (queued()) {
    ContextAccess(*context_).cancel(*this);
  }
}

// The queue has no task yet, and forgets this one when it returns.
inline void PromiseBase::resume_in_queue() {
  const ContextAccess context(*context_);
  context.refill_budget();
  context.set_resumed(this);
  self_.resume();
  FirstResume::verify();
}

void PromiseBase::resume() {
  if (function() == &ContextAccess::resumed_inside_itself) {
    ContextAccess::resumed_inside_itself(*this);
  }
  const ContextAccess context(*context_);
  context.refill_budget();
  RunNode* const outer = context.set_resumed(this);
  self_.resume();
  FirstResume::verify();
  context.set_resumed(outer);
}

void PromiseBase::run(RunNode& node) { static_cast<PromiseBase&>(node).resume_in_queue(); }

// --- start and end ------------------------------------------------------------------------------

// Symmetric transfer keeps the stack flat only where the compiler makes it a tail call, which g++
// does not at -O0 and under sanitizers. The coop budget bounds the depth everywhere.
std::coroutine_handle<> PromiseBase::start(PromiseBase& parent, void* holder) {
  parent_ = &parent;
  starter_ = holder;
  context_ = parent.context_;
  cancel_ = parent.cancel_;
  if (ContextAccess(*context_).consume_budget()) {
    ContextAccess(*context_).set_resumed(this);
    FirstResume::expect();
    return self_;
  }
  begin_in_queue();
  return std::noop_coroutine();
}

void PromiseBase::start(TaskOwner& owner, CancelToken token) {
  check(
      token.source() == nullptr || &token.source()->context() == &owner.context_,
      "a task is started with the token of a cancel source of another context: make the source on "
      "the task's context");
  starter_ = &owner;
  context_ = &owner.context_;
  cancel_ = token.source();
  begin_in_queue();
}

void PromiseBase::begin_in_queue() {
  if constexpr (FirstResume::kVerified) {
    set_function(&PromiseBase::begin);
  }
  ContextAccess(*context_).schedule(*this);
}

void PromiseBase::begin(RunNode& node) {
  node.set_function(&PromiseBase::run);
  FirstResume::expect();
  run(node);
}

// The context to which the task returns when it has ended.
Context& PromiseBase::destination() const {
  return parent_ != nullptr ? *parent_->context_ : owner().context_;
}

// The relay is listed at the context where the task was started, which is the destination; the
// relay's own source belongs to the task's home. Each is destroyed at its context, and not with the
// frame, which may be destroyed later and on another context.
std::coroutine_handle<> PromiseBase::finish() noexcept {
  Context& destination = this->destination();
  if (relay_ != nullptr) [[unlikely]] {
    relay_->leave();
    if (&destination == context_) {
      relay_.reset();
    }
  }
  if (&destination != context_) {
    // The frame may be destroyed as soon as it arrives there. So it departs through the run queue,
    // which runs after the coroutine has suspended.
    Context& here = *context_;
    context_ = &destination;
    set_function(&PromiseBase::depart_to_end);
    ContextAccess(here).schedule(*this);
    return std::noop_coroutine();
  }
  if (parent_ == nullptr) {
    set_function(&PromiseBase::end);  // later: the owner destroys the frame, which is still running
    ContextAccess(*context_).schedule(*this);
    return std::noop_coroutine();
  }
  if (ContextAccess(*context_).consume_budget()) {
    ContextAccess(*context_).set_resumed(parent_);
    return parent_->self_;
  }
  ContextAccess(*context_).schedule(*parent_);
  return std::noop_coroutine();
}

void PromiseBase::end(RunNode& node) {
  auto& promise = static_cast<PromiseBase&>(node);
  promise.relay_.reset();
  if (promise.parent_ != nullptr) {
    promise.parent_->resume();
  } else {
    promise.owner().done_(promise.owner(), promise);
  }
}

void PromiseBase::return_to_end(RunNode& node) {
  ContextAccess(*static_cast<PromiseBase&>(node).context_).task_returned();
  end(node);
}

void PromiseBase::end_soon(RunNode::Run last) {
  set_function(last);
  ContextAccess(*context_).schedule(*this);
}

// The relay goes over to the carrier, so that the local variables leave the source of the task's
// home before that source ends.
void PromiseBase::end_as(PromiseBase& carrier) {
  carrier.context_ = context_;
  carrier.cancel_ = cancel_;
  carrier.parent_ = parent_;
  carrier.starter_ = starter_;
  carrier.relay_ = std::move(relay_);
  self_.destroy();  // and with it this promise
  ContextAccess(*carrier.context_).refill_budget();
  carrier.finish().resume();
  FirstResume::verify();
}

// --- moving -------------------------------------------------------------------------------------

void PromiseBase::move_to(Context& target) {
  Context& here = *context_;
  if (&target == &here) {
    ContextAccess(here).schedule(*this);
    return;
  }
  if (cancel_ != nullptr) {
    if (relay_ == nullptr) {
      relay_ = std::make_unique<CancelRelay>(*cancel_);
    }
    cancel_ = &relay_->follow(target);
  }
  if (&here == &destination()) {
    ContextAccess(here).task_left();
  }
  context_ = &target;
  set_function(&PromiseBase::depart);
  ContextAccess(here).schedule(*this);
}

void PromiseBase::depart(RunNode& node) {
  auto& promise = static_cast<PromiseBase&>(node);
  const bool returns = promise.context_ == &promise.destination();
  promise.set_function(returns ? &PromiseBase::return_home : &PromiseBase::run);
  ContextAccess(*promise.context_).schedule(promise);
}

void PromiseBase::return_home(RunNode& node) {
  auto& promise = static_cast<PromiseBase&>(node);
  ContextAccess(*promise.context_).task_returned();
  promise.set_function(&PromiseBase::run);
  promise.resume();
}

void PromiseBase::depart_to_end(RunNode& node) {
  auto& promise = static_cast<PromiseBase&>(node);
  promise.set_function(&PromiseBase::return_to_end);
  ContextAccess(*promise.context_).schedule(promise);
}

}  // namespace coaio
