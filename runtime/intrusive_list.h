// IntrusiveList: a list whose links live in its members, first in, first out.
//
//   struct Waiter : ListNode { ... };
//   IntrusiveList<Waiter> waiters;
//   waiters.push_back(waiter);   waiter.unlink();
//
// A member takes itself out without knowing its list, so an object that dies while it is listed
// anywhere, the list of another call's unfinished business included, leaves no trace.
//
// Threads: one. Lifetime: a node is unlinked before it dies, and a list is empty before it dies.

#ifndef COAIO_RUNTIME_INTRUSIVE_LIST_H_
#define COAIO_RUNTIME_INTRUSIVE_LIST_H_

namespace coaio::internal {

class ListNode {
 public:
  ListNode() = default;
  ListNode(const ListNode&) = delete;
  ListNode& operator=(const ListNode&) = delete;

  bool linked() const { return next_ != nullptr; }

  // Tolerates a node that is in no list.
  void unlink() {
    if (linked()) {
      previous_->next_ = next_;
      next_->previous_ = previous_;
      next_ = nullptr;
      previous_ = nullptr;
    }
  }

 private:
  template <typename T>
  friend class IntrusiveList;

  ListNode* next_ = nullptr;
  ListNode* previous_ = nullptr;
};

template <typename T>
class IntrusiveList {
 public:
  IntrusiveList() { ends_.next_ = ends_.previous_ = &ends_; }
  IntrusiveList(const IntrusiveList&) = delete;
  IntrusiveList& operator=(const IntrusiveList&) = delete;

  bool empty() const { return ends_.next_ == &ends_; }

  // The node must be in no list.
  void push_back(T& member) {
    ListNode& node = member;
    node.previous_ = ends_.previous_;
    node.next_ = &ends_;
    ends_.previous_->next_ = &node;
    ends_.previous_ = &node;
  }

  // Takes all of another list over, behind the own ones.
  void append(IntrusiveList& other) {
    if (other.empty()) {
      return;
    }
    ListNode& first = *other.ends_.next_;
    ListNode& last = *other.ends_.previous_;
    first.previous_ = ends_.previous_;
    ends_.previous_->next_ = &first;
    last.next_ = &ends_;
    ends_.previous_ = &last;
    other.ends_.next_ = other.ends_.previous_ = &other.ends_;
  }

  // Null at the end. next() must be asked before the member is unlinked.
  T* front() const { return member(ends_.next_); }
  T* next(const T& from) const { return member(static_cast<const ListNode&>(from).next_); }

  T* pop_front() {
    if (empty()) {
      return nullptr;
    }
    T& taken = first();
    drop_first();
    return &taken;
  }

  // The same for a list that is not empty.
  T& first() const { return static_cast<T&>(*ends_.next_); }
  void drop_first() {
    ListNode& dropped = *ends_.next_;
    ends_.next_ = dropped.next_;
    dropped.next_->previous_ = &ends_;
    dropped.next_ = nullptr;
  }

 private:
  T* member(ListNode* node) const { return node == &ends_ ? nullptr : static_cast<T*>(node); }

  ListNode ends_;
};

}  // namespace coaio::internal

#endif  // COAIO_RUNTIME_INTRUSIVE_LIST_H_
