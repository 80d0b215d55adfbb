/* Memory with store buffers. A store of a thread goes into the thread's own buffer, and reaches the other
 * threads at any later time, in order. A locked operation waits until the buffer is empty, and works on
 * memory itself. Early loads are not modelled; the thread sanitizer covers them. */

byte memory[LOCATIONS];
chan buffer[THREADS] = [4] of { byte, byte };

inline store(me, where, what) { buffer[me]!where, what }

/* A locked exchange. */
inline exchange(me, where, what, old) {
  atomic { empty(buffer[me]); old = memory[where]; memory[where] = what }
}

/* A locked compare-and-exchange. */
inline compare_exchange(me, where, expected, what, done) {
  atomic {
    empty(buffer[me]);
    if
    :: memory[where] == expected -> memory[where] = what; done = true
    :: else -> done = false
    fi
  }
}

proctype Buffer(byte me) {
  byte where, what;
end:
  do
  :: atomic { buffer[me]?where, what -> memory[where] = what }
  od
}

inline start_buffers(count) {
  byte started = 0;
  do
  :: started < count -> run Buffer(started); started++
  :: else -> break
  od
}
