/* The doorbell of examples/shm_rpc/ring.cc. The ringer reaches positions, one after another. It uses the
 * doorbell if the sleeper sleeps for a position that has been reached. The sleeper, which is thread 0,
 * waits for a position ahead: it sleeps, polls for a while, or wakes without a reason. A reader of the
 * ring is a sleeper that waits for the next message, a writer one that waits for as much room as it
 * needs. Checked: the sleeper never sleeps for ever although its position has been reached. Such a
 * sleep is an invalid end state.
 *
 *   spin -run doorbell.pml                       no errors
 *   spin -DCLEARED_BLINDLY -run doorbell.pml     errors, and so with each of the bugs below
 *
 * Bugs that can be planted:
 *   CLEARED_BLINDLY   the ringer withdraws any announcement, also a later one than it has read
 *   ANY_POSITION      the ringer rings for any sleeper, also if its position has not been reached
 *   PLAIN_POSITION    the position is still in the store buffer when the ringer reads the announcement
 *   PLAIN_ANNOUNCE    the announcement is still there when the sleeper reads the position
 *   NO_SECOND_LOOK    the sleeper does not read the position after it has announced its sleep
 */

#define THREADS 2
#define LAST 4 /* the last position */

#define POSITION 0
#define SLEEPS 1 /* the position for which the sleeper sleeps; 0: it is awake */
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

/* A loop without work. It announces its sleep again only if it has polled in between. */
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
