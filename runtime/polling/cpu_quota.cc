#include "runtime/polling/cpu_quota.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <limits>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "backends/unique_fd.h"

namespace coaio::internal {
namespace {

constexpr double kUnlimited = std::numeric_limits<double>::infinity();

// Empty if the file cannot be read, which counts as no limit.
std::string content_of(const std::string& path) {
  const UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::string content;
  std::array<char, 4096> part{};
  ssize_t length = 0;
  while (file.valid() && (length = read(file.get(), part.data(), part.size())) > 0) {
    content.append(part.data(), static_cast<std::size_t>(length));
  }
  return content;
}

// Both in microseconds. A quota of "max" or -1 is none.
double ratio(absl::string_view quota, absl::string_view period) {
  double quota_us = 0;
  double period_us = 0;
  const bool limited = absl::SimpleAtod(absl::StripAsciiWhitespace(quota), &quota_us) &&
                       absl::SimpleAtod(absl::StripAsciiWhitespace(period), &period_us) &&
                       quota_us > 0 && period_us > 0;
  return limited ? quota_us / period_us : kUnlimited;
}

double quota_v2(const std::string& folder) {
  const std::string content = content_of(folder + "/cpu.max");
  const std::vector<absl::string_view> words = absl::StrSplit(content, ' ');
  return words.size() == 2 ? ratio(words[0], words[1]) : kUnlimited;
}

double quota_v1(const std::string& folder) {
  return ratio(content_of(folder + "/cpu.cfs_quota_us"), content_of(folder + "/cpu.cfs_period_us"));
}

// Goes from `path` up to the mount point. In a container the path may be the host's, which is not
// visible here. The mount point is then the container's own cgroup.
template <typename QuotaOf>
double tightest(const std::string& mount, std::string path, QuotaOf quota_of) {
  double quota = kUnlimited;
  for (;;) {
    quota = std::min(quota, quota_of(absl::StrCat(mount, path)));
    const std::size_t end = path.rfind('/');
    if (end == std::string::npos) {
      return quota;
    }
    path.resize(end);
  }
}

bool has_cpu(absl::string_view controllers) {
  const std::vector<absl::string_view> names = absl::StrSplit(controllers, ',');
  return std::find(names.begin(), names.end(), "cpu") != names.end();
}

}  // namespace

// Lines of "number:controllers:path"; version 2 has the number 0 and no controllers.
double cpu_quota(const std::string& root) {
  const std::string mounts = root + "/sys/fs/cgroup";
  const std::string memberships = content_of(root + "/proc/self/cgroup");
  double quota = kUnlimited;
  for (const absl::string_view line : absl::StrSplit(memberships, '\n')) {
    const std::vector<std::string> fields = absl::StrSplit(line, absl::MaxSplits(':', 2));
    if (fields.size() != 3) {
      continue;
    }
    if (fields[1].empty()) {
      quota = std::min({quota, tightest(mounts, fields[2], quota_v2),
                        tightest(mounts + "/unified", fields[2], quota_v2)});
    } else if (has_cpu(fields[1])) {
      quota = std::min(quota, tightest(absl::StrCat(mounts, "/", fields[1]), fields[2], quota_v1));
    }
  }
  return quota;
}

}  // namespace coaio::internal
