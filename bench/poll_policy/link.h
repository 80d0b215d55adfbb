// Link: what carries a request from the partner to the loop, and the answer back.

#ifndef COAIO_BENCH_POLL_POLICY_LINK_H_
#define COAIO_BENCH_POLL_POLICY_LINK_H_

#include <string_view>

#include "backends/unique_fd.h"

namespace coaio::bench {

// One end of it. Messages are eight bytes; descriptors are non-blocking.
struct LinkEnd {
  UniqueFd in;
  UniqueFd out;  // not valid if `in` is both

  void send() const;
  bool receive() const;  // false: nothing is there
  void wait() const;     // sleeps until something is
};

struct Link {
  LinkEnd loop;
  LinkEnd partner;
};

// "tcp": a connection over the loopback device; "eventfd": one for each direction.
Link make_link(std::string_view transport);

}  // namespace coaio::bench

#endif  // COAIO_BENCH_POLL_POLICY_LINK_H_
