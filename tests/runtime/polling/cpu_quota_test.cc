#include "runtime/polling/cpu_quota.h"

#include <cmath>
#include <filesystem>
#include <fstream>
#include <string>

#include "doctest/doctest.h"

namespace coaio::testing {

using namespace internal;
namespace {

// The files of a machine, below a folder that is deleted in the end.
class Machine {
 public:
  Machine() {
    std::string name = (std::filesystem::temp_directory_path() / "coaio_quota_XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    root_ = name;
  }
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;
  ~Machine() { std::filesystem::remove_all(root_); }

  Machine& file(const std::string& path, const std::string& content) {
    std::filesystem::create_directories((root_ + path).substr(0, (root_ + path).rfind('/')));
    std::ofstream(root_ + path) << content;
    return *this;
  }
  double quota() const { return cpu_quota(root_); }

 private:
  std::string root_;
};

TEST_CASE("a machine without cgroups, and a cgroup without a limit, give no quota") {
  CHECK(std::isinf(Machine().quota()));
  CHECK(std::isinf(Machine()
                       .file("/proc/self/cgroup", "0::/a\n")
                       .file("/sys/fs/cgroup/a/cpu.max", "max 100000\n")
                       .quota()));
  CHECK(cpu_quota() > 0);
}

TEST_CASE("the quota is that of the own cgroup or of one above it, whichever is tighter") {
  Machine machine;
  machine.file("/proc/self/cgroup", "0::/a/b\n")
      .file("/sys/fs/cgroup/a/cpu.max", "300000 100000\n")
      .file("/sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
  CHECK(machine.quota() == 3.0);
  machine.file("/sys/fs/cgroup/a/b/cpu.max", "20000 80000\n");
  CHECK(machine.quota() == 0.25);
  machine.file("/sys/fs/cgroup/a/cpu.max", "10000 100000\n");
  CHECK(machine.quota() == 0.1);
}

TEST_CASE("in a container that sees only its own cgroup, the mount point is that cgroup") {
  CHECK(Machine()
            .file("/proc/self/cgroup", "0::/system.slice/of-the-host\n")
            .file("/sys/fs/cgroup/cpu.max", "150000 100000\n")
            .quota() == 1.5);
}

TEST_CASE("the quota of a version 1 hierarchy counts too, also beside a version 2 one") {
  Machine machine;
  machine.file("/proc/self/cgroup", "3:cpu,cpuacct:/a\n2:cpuset:/b\n0::/c\n")
      .file("/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us", "-1\n")
      .file("/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us", "100000\n");
  CHECK(std::isinf(machine.quota()));
  machine.file("/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us", "50000\n");
  CHECK(machine.quota() == 0.5);
  machine.file("/sys/fs/cgroup/unified/c/cpu.max", "40000 100000\n");
  CHECK(machine.quota() == 0.4);
}

TEST_CASE("nonsense in the files is no quota") {
  Machine machine;
  machine.file("/proc/self/cgroup", "x\n0::/a\n::\n").file("/sys/fs/cgroup/a/cpu.max", "10000\n");
  CHECK(std::isinf(machine.quota()));
  machine.file("/sys/fs/cgroup/a/cpu.max", "0 100000\n");
  CHECK(std::isinf(machine.quota()));
}

}  // namespace
}  // namespace coaio::testing
