// Frame memory: where coroutine frames come from.
//
// Frames of equal size come and go at a high rate, so each thread keeps the ones that it freed, by
// size class and up to a cap, and hands them out again. What exceeds the cap, and everything after
// the thread's end, goes to operator new and delete; a frame may be freed by another thread than
// allocated it. Under the address sanitizer nothing is kept, so that it sees each frame's end.
//
// Errors: exhausted memory terminates.

#ifndef COAIO_CORO_FRAME_MEMORY_H_
#define COAIO_CORO_FRAME_MEMORY_H_

#include <cstddef>

namespace coaio {

void* allocate_frame(std::size_t size);
void free_frame(void* frame, std::size_t size);

}  // namespace coaio

#endif  // COAIO_CORO_FRAME_MEMORY_H_
