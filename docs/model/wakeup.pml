/* The protocol of runtime/wakeup.cc: one loop, which may sleep, and wakers, which make a plain store and
 * then call notify(). Checked: the loop never sleeps for ever while a store that came before a notify()
 * is unseen. Such a sleep is an invalid end state.
 *
 *   spin -run wakeup.pml                      no errors
 *   spin -DPLAIN_STORE -run wakeup.pml        errors, and so with each of the bugs below
 *
 * Bugs that can be planted:
 *   PLAIN_STORE       notify() loads and stores the state instead of exchanging it
 *   NO_RECHECK        the loop announces its sleep without checking for a notification
 *   SPARED_EXCHANGE   notify() does nothing if the state is "notified" already
 *   LATE_ACCEPT       the loop looks for work before it accepts the notification
 *   WITHDRAWN_NOTICE  after a sleep the loop withdraws the notification together with its announcement
 */

#define WAKERS 2
#define THREADS 3 /* the loop is thread 0 */

#define STATE 0
#define WORK 1 /* and following: what each waker writes */
#define LOCATIONS 3

#include "memory.pml"

#include "state_word.pml"

proctype Waker(byte me) {
  byte old;
  store(me, WORK + me - 1, 1);
  notify(me)
}

inline look_for_work() {
  i = 0;
  do
  :: i < WAKERS && memory[WORK + i] == 1 && !seen[i] -> seen[i] = true; count++; i++
  :: i < WAKERS && !(memory[WORK + i] == 1 && !seen[i]) -> i++
  :: i == WAKERS -> break
  od
}

proctype Loop() {
  byte old, i, count;
  bool allowed;
  bool seen[WAKERS];
  do
  :: count == WAKERS -> break
  :: count < WAKERS ->
    announce_sleep(allowed);
    if
    :: allowed ->
      if
      :: readable -> readable = false
      :: interruptions > 0 -> interruptions--
      fi;
      withdraw()
    :: else
    fi;
    if
    :: true -> /* the turn sleeps again */
    :: true ->
#ifdef LATE_ACCEPT
      look_for_work();
      accept()
#else
      accept();
      look_for_work()
#endif
    fi
  od
}

init {
  atomic {
    start_buffers(THREADS);
    run Loop();
    run Waker(1);
    run Waker(2)
  }
}
