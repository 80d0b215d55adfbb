// abort_message: the sentence with which misuse ends the process.
//
//   CHECK(abort_message([] { ... }).find("join() before") != std::string::npos);
//
// The work runs in a child, and there must be no other thread.

#ifndef COAIO_TESTS_SUPPORT_ABORT_MESSAGE_H_
#define COAIO_TESTS_SUPPORT_ABORT_MESSAGE_H_

#include <functional>
#include <string>

namespace coaio::testing {

// What the work prints on standard error until it aborts; "it did not abort" if it does not.
std::string abort_message(const std::function<void()>& work);

}  // namespace coaio::testing

#endif  // COAIO_TESTS_SUPPORT_ABORT_MESSAGE_H_
