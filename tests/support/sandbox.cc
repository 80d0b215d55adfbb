#include "tests/support/sandbox.h"

#include <linux/filter.h>
#include <linux/io_uring.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <utility>
#include <vector>

namespace coaio::testing {
namespace {

constexpr std::uint32_t kNumber = offsetof(seccomp_data, nr);

std::uint32_t offset_of_argument(unsigned index) {
  return static_cast<std::uint32_t>(offsetof(seccomp_data, args) + index * sizeof(std::uint64_t));
}

// Each refusal is a few instructions that fall through to the next where it does not fit.
void append(std::vector<sock_filter>& program, const Refusal& refusal) {
  const auto number = static_cast<std::uint32_t>(refusal.number);
  const std::uint32_t answer = SECCOMP_RET_ERRNO | static_cast<std::uint32_t>(refusal.error);
  program.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, kNumber));
  if (refusal.where) {
    program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 3));
    program.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset_of_argument(refusal.where->index)));
    program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, refusal.where->value, 0, 1));
  } else {
    program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1));
  }
  program.push_back(BPF_STMT(BPF_RET | BPF_K, answer));
}

void install(std::vector<sock_filter> program) {
  program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  const sock_fprog filter{.len = static_cast<unsigned short>(program.size()),
                          .filter = program.data()};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
      prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) {
    std::perror("cannot install the seccomp filter");
    std::abort();
  }
}

// --- flags of a ring -----------------------------------------------------------------------------

// A filter sees the arguments of a call, but not the memory that a pointer refers to. So the filter
// sends a signal for each io_uring_setup(), and the handler of the signal reads the flags.

// The handler repeats the call with this mark in an argument that io_uring_setup() does not have;
// the filter lets a marked call pass.
constexpr unsigned kMarkIndex = 5;
constexpr std::uint32_t kMark = 0x636f6169;

std::atomic<unsigned> refused_flags = 0;  // relaxed: this thread sets them, and has the handler
std::atomic<int> refusals_of_rings = 0;   // relaxed: the same

// What a system call with a pointer for its second argument was given, and what it returns.
#if defined(__x86_64__)
greg_t& result_of(ucontext_t& context) { return context.uc_mcontext.gregs[REG_RAX]; }
greg_t argument_of(const ucontext_t& context, bool second) {
  return context.uc_mcontext.gregs[second ? REG_RSI : REG_RDI];
}
#elif defined(__aarch64__)
unsigned long long& result_of(ucontext_t& context) { return context.uc_mcontext.regs[0]; }
unsigned long long argument_of(const ucontext_t& context, bool second) {
  return context.uc_mcontext.regs[second ? 1 : 0];
}
#endif

void set_up_ring(int, siginfo_t*, void* where) {
  auto& context = *static_cast<ucontext_t*>(where);
  // A register is an integer, whatever it holds. NOLINTNEXTLINE(performance-no-int-to-ptr)
  auto* parameters = reinterpret_cast<io_uring_params*>(argument_of(context, true));
  if ((parameters->flags & refused_flags.load(std::memory_order_relaxed)) != 0) {
    refusals_of_rings.fetch_add(1, std::memory_order_relaxed);
    result_of(context) = -EINVAL;
    return;
  }
  const long ring = syscall(SYS_io_uring_setup, argument_of(context, false), parameters, 0, 0, 0,
                            static_cast<unsigned long>(kMark));
  result_of(context) = ring < 0 ? -errno : ring;
}

}  // namespace

void refuse_system_calls(const std::vector<Refusal>& refusals) {
  std::vector<sock_filter> program;
  for (const Refusal& refusal : refusals) {
    append(program, refusal);
  }
  install(std::move(program));
}

void refuse_ring_flags(unsigned flags) {
  refused_flags.store(flags, std::memory_order_relaxed);
  struct sigaction action{};
  action.sa_sigaction = set_up_ring;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGSYS, &action, nullptr);
  install({BPF_STMT(BPF_LD | BPF_W | BPF_ABS, kNumber),
           BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 3),
           BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset_of_argument(kMarkIndex)),
           BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kMark, 1, 0),
           BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP)});
}

int refused_rings() { return refusals_of_rings.load(std::memory_order_relaxed); }

// It can tell whether a filter is in place already.
bool sandbox_works() { return prctl(PR_GET_SECCOMP) == 0 || prctl(PR_GET_SECCOMP) == 2; }

}  // namespace coaio::testing
