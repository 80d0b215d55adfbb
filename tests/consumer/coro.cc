// Of another workspace, against //coro alone: a task awaits another one.

#include "coro/run.h"
#include "coro/task.h"
#include "coro/yield.h"

coaio::Task<int> answer() {
  co_await coaio::yield();
  co_return 42;
}

coaio::Task<int> ask() { co_return co_await answer(); }

int main() { return coaio::run(ask()) == 42 ? 0 : 1; }
