#include "tests/support/patience.h"

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

Patience::Patience(unsigned seconds) {
  std::signal(SIGALRM, &lose_it);
  alarm(seconds);
}

Patience::~Patience() {
  alarm(0);
  std::signal(SIGALRM, SIG_DFL);
}

}  // namespace coaio::testing
