// What the forms of docs/compilers.md are written with.

#ifndef COAIO_TESTS_COMPILERS_FORMS_H_
#define COAIO_TESTS_COMPILERS_FORMS_H_

#include <span>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "coro/task.h"

namespace coaio::testing {

// Ends the program when it is destroyed twice, or at another address than it was made.
class Name {
 public:
  explicit Name(std::string text = "") : text_(std::move(text)) {}
  Name(const Name& other) : text_(other.text()) {}
  Name(Name&& other) noexcept : text_(std::move(other.text_)) {}
  Name& operator=(const Name& other);
  Name& operator=(Name&& other) noexcept;
  ~Name();

  std::string text() const;

 private:
  std::string text_;
  const Name* self_ = this;
};

struct Request {
  Name name;
  int number = 0;
};

Task<absl::Status> succeed();
Task<absl::Status> count_call();
int calls();
Task<Name> get_name(std::string text);
Task<std::pair<int, Name>> get_pair(int number, std::string text);
Task<std::string> serve(Request request);

// A form, and what its lines say that it returns: "right" wherever it is compiled rightly.
struct Form {
  const char* name;
  Task<std::string> (*run)();
};

// The forms of docs/compilers.md, in a file that extract.py writes.
std::span<const Form> forms();

}  // namespace coaio::testing

#endif  // COAIO_TESTS_COMPILERS_FORMS_H_
