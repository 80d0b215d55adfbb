#include "tests/support/test_timeout.h"

#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <string_view>

namespace coaio::testing {
namespace {

void lose_it(int) {
  constexpr std::string_view kSentence = "what the test waits for does not happen\n";
  const ssize_t written = write(STDERR_FILENO, kSentence.data(), kSentence.size());
  static_cast<void>(written);
  std::abort();
}

}  // namespace

TestTimeout::TestTimeout(unsigned seconds) {
  std::signal(SIGALRM, &lose_it);
  alarm(seconds);
}

TestTimeout::~TestTimeout() {
  alarm(0);
  std::signal(SIGALRM, SIG_DFL);
}

}  // namespace coaio::testing
