// forms NAME: runs one form of docs/compilers.md, and prints what it returns.
// forms --compiler: prints the compiler and its version; forms --list: prints the names.

#include "tests/compilers/forms.h"

#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "coro/run.h"
#include "coro/task.h"
#include "coro/yield.h"

namespace coaio::testing {

namespace {

int number_of_calls = 0;

[[noreturn]] void die(const char* sentence) {
  std::fprintf(stderr, "%s\n", sentence);
  std::abort();
}

}  // namespace

Name& Name::operator=(const Name& other) {
  if (this != &other) {
    text_ = other.text();
  }
  return *this;
}

Name& Name::operator=(Name&& other) noexcept {
  text_ = std::move(other.text_);
  return *this;
}

Name::~Name() {
  if (self_ != this) {
    die("an object is destroyed that was not made there");
  }
  self_ = nullptr;
}

std::string Name::text() const {
  if (self_ != this) {
    die("an object is used that was not made there");
  }
  return text_;
}

Task<absl::Status> succeed() {
  co_await yield();
  co_return absl::OkStatus();
}

Task<absl::Status> count_call() {
  ++number_of_calls;
  co_await yield();
  co_return absl::OkStatus();
}

int calls() { return number_of_calls; }

Task<Name> get_name(std::string text) {
  co_await yield();
  co_return Name(std::move(text));
}

Task<std::pair<int, Name>> get_pair(int number, std::string text) {
  co_await yield();
  co_return std::pair(number, Name(std::move(text)));
}

Task<std::string> serve(Request request) {
  co_await yield();
  co_return request.name.text();
}

}  // namespace coaio::testing

int main(int argc, char** argv) {
  const std::string_view wanted = argc == 2 ? argv[1] : "";
  if (wanted == "--compiler") {
#ifdef __clang__
    std::cout << "clang " << __clang_major__ << "\n";
#else
    std::cout << "g++ " << __GNUC__ << "." << __GNUC_MINOR__ << "\n";
#endif
    return EXIT_SUCCESS;
  }
  for (const coaio::testing::Form& form : coaio::testing::forms()) {
    if (wanted == "--list") {
      std::cout << form.name << "\n";
    } else if (wanted == form.name) {
      std::cout << coaio::run(form.run()) << "\n";
      return EXIT_SUCCESS;
    }
  }
  return wanted == "--list" ? EXIT_SUCCESS : EXIT_FAILURE;
}
