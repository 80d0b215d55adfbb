/* The doorbell of examples/shm_rpc/ring.cc: one side reaches positions, one after another, and rings for
 * the other one if that sleeps for a position which has been reached; the other side, which is thread 0,
 * waits for some position ahead, sleeps, is polled for a while, or wakes for nothing. So it is with a
 * reader, which waits for the next message, and with a writer, which waits for as much room as it
 * needs. Checked: it never sleeps for good although the position that it waits for has been reached. If
 * it does, that is an invalid end state.
 *
 *   spin -run doorbell.pml                       no errors
 *   spin -DCLEARED_BLINDLY -run doorbell.pml     errors, and so with each of the bugs below
 *
 * Bugs that can be planted:
 *   CLEARED_BLINDLY   who rings takes back whatever is announced by then, not what was seen
 *   ANY_POSITION      who rings does so for any sleeper, also if its position has not been reached
 *   PLAIN_POSITION    the position stands in the store buffer while its thread looks for a sleeper
 *   PLAIN_ANNOUNCE    the announcement stands there while the sleeper looks at the position
 *   NO_SECOND_LOOK    the sleeper does not look at the position once it has announced its sleep
 */

#define THREADS 2
#define LAST 4 /* the last position */

#define POSITION 0
#define SLEEPS 1 /* for which position the other side does; 0 for none */
#define LOCATIONS 2

#include "memory.pml"

bool readable = false; /* the eventfd */
byte interruptions = 1; /* other reasons to wake */
byte polls = 1; /* how often the loop polls before it sleeps again */

inline ring_for(seen) {
#ifdef CLEARED_BLINDLY
  exchange(1, SLEEPS, 0, old);
  if
  :: old != 0 -> readable = true
  :: else
  fi
#else
  compare_exchange(1, SLEEPS, seen, 0, taken_back);
  if
  :: taken_back -> readable = true
  :: else
  fi
#endif
}

proctype Ringer() {
  byte position, seen, old;
  bool taken_back;
  do
  :: position == LAST -> break
  :: position < LAST ->
    position++;
#ifdef PLAIN_POSITION
    store(1, POSITION, position);
#else
    exchange(1, POSITION, position, old);
#endif
    seen = memory[SLEEPS];
    if
#ifdef ANY_POSITION
    :: seen != 0 -> ring_for(seen)
#else
    :: seen != 0 && seen <= position -> ring_for(seen)
#endif
    :: else
    fi
  od
}

inline announce() {
#ifdef PLAIN_ANNOUNCE
  store(0, SLEEPS, awaited);
#else
  exchange(0, SLEEPS, awaited, old);
#endif
#ifdef NO_SECOND_LOOK
  reached = false
#else
  reached = memory[POSITION] >= awaited
#endif
}

/* What a loop does while nothing is there. It announces again only if it has polled. */
inline sleep() {
  do
  :: reached -> break
  :: !reached ->
    if
    :: readable -> readable = false
    :: interruptions > 0 -> interruptions--
    fi;
    reached = memory[POSITION] >= awaited;
    if
    :: !reached && polls > 0 ->
      polls--;
      store(0, SLEEPS, 0);
      reached = memory[POSITION] >= awaited;
      if
      :: !reached -> announce()
      :: else
      fi
    :: true
    fi
  od
}

proctype Sleeper() {
  byte awaited, old;
  bool reached;
  do
  :: awaited == LAST -> break
  :: awaited < LAST -> /* the next position, or a later one */
    awaited++;
    do
    :: awaited < LAST -> awaited++
    :: break
    od;
    reached = memory[POSITION] >= awaited;
    if
    :: reached
    :: else ->
      announce();
      sleep();
      store(0, SLEEPS, 0)
    fi
  od
}

init {
  atomic {
    start_buffers(THREADS);
    run Sleeper();
    run Ringer()
  }
}
