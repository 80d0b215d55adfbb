// wake_cost: by how much a sleeping thread of this machine is late to its own event.
//
// On bare metal a few microseconds; on a virtual machine, whose idle processor halts, 15 to 70. The
// learned poll budget weighs it against the CPU time of polling.

#ifndef COAIO_RUNTIME_WAKE_COST_H_
#define COAIO_RUNTIME_WAKE_COST_H_

#include <chrono>

namespace coaio {

// Measured when it is first asked for in this process, which blocks the thread for about 2.5 ms:
// the median lateness of 32 sleeps of 50 µs on a timerfd. 30 µs where that is refused.
std::chrono::nanoseconds wake_cost();

}  // namespace coaio

#endif  // COAIO_RUNTIME_WAKE_COST_H_
