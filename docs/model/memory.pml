/* Memory as a processor may show it: what a thread stores stands in a buffer of its own and reaches the
 * others at any later time, in order. A locked operation works on memory itself, once the buffer is
 * empty. What is not modelled is that loads may be early: the thread sanitizer looks after that side. */

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
