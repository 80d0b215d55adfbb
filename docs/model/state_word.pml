/* runtime/wakeup.cc: the state word of one loop, which is thread 0. The including file defines the
 * location of STATE, and names the planted bugs. */

#define POLLING 0
#define SLEEPING 1
#define NOTIFIED 2

bool readable = false; /* the eventfd */
byte interruptions = 1; /* other reasons to wake: descriptors, timers, signals */

inline notify(me) {
#ifdef PLAIN_STORE
  old = memory[STATE];
  store(me, STATE, NOTIFIED);
#else
#ifdef SPARED_EXCHANGE
  if
  :: memory[STATE] == NOTIFIED -> old = NOTIFIED
  :: else -> exchange(me, STATE, NOTIFIED, old)
  fi;
#else
  exchange(me, STATE, NOTIFIED, old);
#endif
#endif
  if
  :: old == SLEEPING -> readable = true
  :: else
  fi
}

inline wake_sleeper(me) {
  if
  :: memory[STATE] == SLEEPING -> notify(me)
  :: else
  fi
}

inline announce_sleep(allowed) {
#ifdef PLAIN_ANNOUNCE
  allowed = (memory[STATE] == POLLING);
  if
  :: allowed -> store(0, STATE, SLEEPING)
  :: else
  fi
#else
#ifdef NO_RECHECK
  exchange(0, STATE, SLEEPING, old);
  allowed = true
#else
  compare_exchange(0, STATE, POLLING, SLEEPING, allowed)
#endif
#endif
}

inline withdraw() {
#ifdef WITHDRAWN_NOTICE
  exchange(0, STATE, POLLING, old)
#else
  compare_exchange(0, STATE, SLEEPING, POLLING, allowed)
#endif
}

inline accept() {
  if
  :: memory[STATE] == POLLING
  :: else -> exchange(0, STATE, POLLING, old)
  fi
}
