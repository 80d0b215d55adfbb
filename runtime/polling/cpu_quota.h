// cpu_quota: how many CPUs' worth of time the cgroups of this process allow it.
//
// A process that has used up its quota is stopped until the next period begins: polling that eats
// the quota would stop the work that it waits for.

#ifndef COAIO_RUNTIME_POLLING_CPU_QUOTA_H_
#define COAIO_RUNTIME_POLLING_CPU_QUOTA_H_

#include <string>

namespace coaio::internal {

// The tightest of this process's own cgroup and of those above it, by `cpu.max` (version 2) and by
// `cpu.cfs_quota_us` (version 1). Infinite where nothing limits, or nothing can be read. Blocks on
// a few small files below `root`, which is the root of the file system unless a test says else.
double cpu_quota(const std::string& root = "");

}  // namespace coaio::internal

#endif  // COAIO_RUNTIME_POLLING_CPU_QUOTA_H_
