// The models of docs/model, checked by spin: without errors as they stand, and with errors once a
// bug is planted, which shows that they can fail.

#include <array>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <initializer_list>
#include <string>

#include "doctest/doctest.h"
#include "tests/support/skipped.h"

namespace coaio::testing {
namespace {

namespace fs = std::filesystem;

std::string output_of(const std::string& command) {
  std::string output;
  std::array<char, 4096> block{};
  FILE* pipe = popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  while (const std::size_t count = fread(block.data(), 1, block.size(), pipe)) {
    output.append(block.data(), count);
  }
  pclose(pipe);
  return output;
}

bool has_spin() { return !output_of("command -v spin").empty(); }

// "errors: 0" or another number, as spin counts them. It counts as well what it found before it
// gave up at a depth, and that no errors were found then proves nothing.
std::string errors_in(const std::string& model, const std::string& bug) {
  // spin writes into the folder where it works.
  const char* scratch = std::getenv("TEST_TMPDIR");
  const fs::path folder = fs::path(scratch == nullptr ? "." : scratch) / (model + bug);
  fs::create_directories(folder);
  for (const fs::directory_entry& entry : fs::directory_iterator("docs/model")) {
    fs::copy_file(fs::canonical(entry.path()), folder / entry.path().filename(),
                  fs::copy_options::overwrite_existing);
  }
  const std::string flag = bug.empty() ? "" : "-D" + bug;
  const std::string output =
      output_of("cd '" + folder.string() + "' && spin " + flag + " -run " + model + ".pml 2>&1");
  if (output.find("max search depth too small") != std::string::npos) {
    return "a search that is not complete";
  }
  const std::size_t at = output.find("errors: ");
  return at == std::string::npos ? output : output.substr(at, output.find('\n', at) - at);
}

void check_model(const std::string& model, std::initializer_list<const char*> bugs) {
  if (!has_spin()) {
    return report_skipped("spin is not installed: tools/setup ci installs it");
  }
  CHECK(errors_in(model, "") == "errors: 0");
  for (const char* bug : bugs) {
    CAPTURE(bug);
    CHECK(errors_in(model, bug) == "errors: 1");
  }
}

TEST_CASE("the wake-up protocol loses no wake-up, and each planted bug does") {
  check_model("wakeup",
              {"PLAIN_STORE", "NO_RECHECK", "SPARED_EXCHANGE", "LATE_ACCEPT", "WITHDRAWN_NOTICE"});
}

TEST_CASE(
    "the way into the run queue from elsewhere loses no node and no message, and each planted bug "
    "does") {
  check_model("remote_queue", {"CLEARED_LATE", "PLAIN_FLAG", "SECOND_NOTIFIES", "PLAIN_PUSH",
                               "PLAIN_ANNOUNCE", "NO_QUEUE_LOOK"});
}

TEST_CASE(
    "the doorbell of shared memory is rung for every sleeper that has to wake, and each planted "
    "bug lets one sleep") {
  check_model("doorbell", {"CLEARED_BLINDLY", "ANY_POSITION", "PLAIN_POSITION", "PLAIN_ANNOUNCE",
                           "NO_SECOND_LOOK"});
}

}  // namespace
}  // namespace coaio::testing
