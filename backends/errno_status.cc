#include "backends/errno_status.h"

#include <cerrno>
#include <cstring>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace coaio {
namespace {

constexpr char kErrnoPayload[] = "coaio.errno";

absl::StatusCode code_of(int error) {
  switch (error) {
    case EINVAL:
    case EAFNOSUPPORT:
    case EDESTADDRREQ:
    case ENAMETOOLONG:
    case ENOTSOCK:
    case EPROTOTYPE:
      return absl::StatusCode::kInvalidArgument;
    case ENOENT:
    case ENODEV:
    case ENXIO:
    case ESRCH:
      return absl::StatusCode::kNotFound;
    case EEXIST:
    case EADDRINUSE:
    case EALREADY:
      return absl::StatusCode::kAlreadyExists;
    case EACCES:
    case EPERM:
    case EROFS:
      return absl::StatusCode::kPermissionDenied;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
    case ENOSPC:
    case EDQUOT:
      return absl::StatusCode::kResourceExhausted;
    case EBADF:
    case ENOTCONN:
    case EISCONN:
    case EPIPE:
    case ESHUTDOWN:
    case EISDIR:
    case ENOTDIR:
    case ENOTEMPTY:
      return absl::StatusCode::kFailedPrecondition;
    case ENOSYS:
    case EOPNOTSUPP:
    case EPROTONOSUPPORT:
      return absl::StatusCode::kUnimplemented;
    case ECONNREFUSED:
    case ECONNRESET:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENETDOWN:
    case ENETUNREACH:
    case ETIMEDOUT:
    case EADDRNOTAVAIL:
    case EAGAIN:
      return absl::StatusCode::kUnavailable;
    case ECONNABORTED:
      return absl::StatusCode::kAborted;
    case ERANGE:
    case EFBIG:
    case EOVERFLOW:
      return absl::StatusCode::kOutOfRange;
    case EIO:
      return absl::StatusCode::kDataLoss;
    default:
      return absl::StatusCode::kUnknown;
  }
}

// The remedy for the limits that every call may reach that opens a descriptor.
absl::string_view fix_of(int error) {
  switch (error) {
    case EMFILE:
      return "the process may not open more descriptors: raise ulimit -n";
    case ENFILE:
      return "the machine may not open more files: raise sysctl fs.file-max";
    default:
      return "";
  }
}

}  // namespace

absl::Status errno_status(int error, absl::string_view what, absl::string_view remark) {
  const char* name = strerrorname_np(error);
  const std::string text = name == nullptr ? absl::StrCat("errno ", error)
                                           : absl::StrCat(name, " (", strerrordesc_np(error), ")");
  const absl::string_view end = remark.empty() ? fix_of(error) : remark;
  absl::Status status(code_of(error), absl::StrCat(what, ": ", text, end.empty() ? "" : "; ", end));
  // A string_view, because Cord's constructor from a string rvalue is a template whose name clang
  // and g++ mangle differently. The abseil of a distribution has only one of the two names.
  const std::string number = absl::StrCat(error);
  status.SetPayload(kErrnoPayload, absl::Cord(absl::string_view(number)));
  return status;
}

int errno_of(const absl::Status& status) {
  const auto payload = status.GetPayload(kErrnoPayload);
  int error = 0;
  return payload.has_value() && absl::SimpleAtoi(std::string(*payload), &error) ? error : 0;
}

}  // namespace coaio
