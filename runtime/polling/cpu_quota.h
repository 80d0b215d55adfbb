// cpu_quota: how many CPUs' worth of time the cgroups of this process allow it.
//
// The kernel stops a process that has used up its quota until the next period begins. Polling that
// uses up the quota would stop the work for which it waits.

#ifndef COAIO_RUNTIME_POLLING_CPU_QUOTA_H_
#define COAIO_RUNTIME_POLLING_CPU_QUOTA_H_

#include <string>

namespace coaio::internal {

// The smallest quota of this process's own cgroup and all cgroups above it, by `cpu.max` (version
// 2) and by `cpu.cfs_quota_us` (version 1). Infinite where there is no quota or it cannot be read.
// The call reads a few small files below `root`; tests give a directory, others the root directory.
double cpu_quota(const std::string& root = "");

}  // namespace coaio::internal

#endif  // COAIO_RUNTIME_POLLING_CPU_QUOTA_H_
