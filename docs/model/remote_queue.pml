/* runtime/remote_queue.h over the wake-up protocol: two threads push the same node, a third one pushes
 * another node, and the loop drains the queue. Checked: a run of a node sees all that was written before
 * the push. Only the push that finds the queue empty wakes the loop, and only if the loop has announced
 * its sleep; this is enough. A loop that sleeps while a write is unseen is an invalid end state.
 *
 *   spin -run remote_queue.pml                 no errors
 *
 * Bugs that can be planted:
 *   CLEARED_LATE      the flag of a node is cleared after it has run instead of before
 *   PLAIN_FLAG        the flag is cleared by a plain store after the run
 *   SECOND_NOTIFIES   only a push that finds a node in the queue wakes the loop
 *   PLAIN_PUSH        the push is still in the store buffer when its thread reads the state word
 *   PLAIN_ANNOUNCE    the announcement is still there when the loop reads the queue
 *   NO_QUEUE_LOOK     the loop does not read the queue after it has announced its sleep
 */

#define THREADS 4
#define NODES 2

#define STATE 0
#define HEAD 1 /* a bit for each node in the list; the order does not matter here */
#define FLAG 2 /* and the next: of each node */
#define WORK 4 /* and following: what each pusher writes */
#define LOCATIONS 7

#include "memory.pml"

#include "state_word.pml"

inline push(me, node) {
  exchange(me, FLAG + node, 1, old);
  if
  :: old == 1
  :: else ->
#ifdef PLAIN_PUSH
    atomic { old = memory[HEAD]; store(me, HEAD, old | (1 << node)) };
#else
    atomic {
      empty(buffer[me]);
      old = memory[HEAD];
      assert((old & (1 << node)) == 0); /* it would be linked twice */
      memory[HEAD] = old | (1 << node)
    };
#endif
#ifdef SECOND_NOTIFIES
    if
    :: old != 0 -> wake_sleeper(me)
    :: else
    fi
#else
    if
    :: old == 0 -> wake_sleeper(me)
    :: else
    fi
#endif
  fi
}

proctype Pusher(byte me; byte node) {
  byte old;
  store(me, WORK + me - 1, 1);
  push(me, node)
}

/* Pushers 1 and 2 push the first node, pusher 3 the other one. */
inline run_node(node) {
  if
  :: node == 0 ->
    seen[0] = seen[0] || memory[WORK];
    seen[1] = seen[1] || memory[WORK + 1]
  :: else -> seen[2] = seen[2] || memory[WORK + 2]
  fi
}

inline drain() {
  exchange(0, HEAD, 0, taken);
  node = 0;
  do
  :: node == NODES -> break
  :: node < NODES && (taken & (1 << node)) == 0 -> node++
  :: node < NODES && (taken & (1 << node)) != 0 ->
#ifdef CLEARED_LATE
    run_node(node);
    exchange(0, FLAG + node, 0, old);
#else
#ifdef PLAIN_FLAG
    run_node(node);
    store(0, FLAG + node, 0);
#else
    exchange(0, FLAG + node, 0, old);
    run_node(node);
#endif
#endif
    node++
  od
}

proctype Loop() {
  byte old, taken, node;
  bool allowed;
  bool seen[3];
  do
  :: seen[0] && seen[1] && seen[2] -> break
  :: else ->
    announce_sleep(allowed);
#ifndef NO_QUEUE_LOOK
    allowed = allowed && (memory[HEAD] == 0);
#endif
    if
    :: allowed ->
      if
      :: readable -> readable = false
      :: interruptions > 0 -> interruptions--
      fi
    :: else
    fi;
    withdraw();
    if
    :: true -> /* the turn sleeps again */
    :: true -> accept(); drain()
    fi
  od
}

init {
  atomic {
    start_buffers(THREADS);
    run Loop();
    run Pusher(1, 0);
    run Pusher(2, 0);
    run Pusher(3, 1)
  }
}
