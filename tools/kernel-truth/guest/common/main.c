// SPDX-License-Identifier: MIT
// A program of phases: runs its chains twice, then executes the next program or, as the last one,
// reboots, which ends QEMU. The first is the machine's init. The build gives each program its own
// path (KT_SELF), the number of its first phase (KT_FIRST) and the next program (KT_NEXT).
// Arguments: the phases asked for (none: all). Their whole chains run; the harness picks.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest.h"

enum { REPETITIONS = 2 };

static const struct step {
  const char *chain;  // set where a chain starts
  const char *phase;
  void (*run)(void);
} steps[] = {
#define CHAIN(name) {#name, NULL, NULL},
#define PHASE(name, what) {NULL, #name, name},
#include "phases.def"
#undef CHAIN
#undef PHASE
};
enum { STEPS = sizeof steps / sizeof *steps };

// Every repetition finds the machine as the one before: what earlier phases left to RCU and to
// kernel threads is done, and the timer has nothing to catch up with.
static void settle(void) { usleep(40 * 1000); }

static int is_asked_for(int argc, char **argv, const char *phase) {
  if (argc <= 1) return 1;
  for (int k = 1; k < argc; k++)
    if (strcmp(argv[k], phase) == 0) return 1;
  return 0;
}

static int chain_is_asked_for(int argc, char **argv, const struct step *chain) {
  for (const struct step *s = chain + 1; s < steps + STEPS && s->phase; s++)
    if (is_asked_for(argc, argv, s->phase)) return 1;
  return 0;
}

static void run_all(int argc, char **argv, unsigned repetition) {
  unsigned number = KT_FIRST;
  int wanted = 0;
  for (const struct step *s = steps; s < steps + STEPS; s++) {
    if (s->chain) {
      wanted = chain_is_asked_for(argc, argv, s);
      continue;
    }
    if (wanted) {
      printf("kernel-truth: repetition %u, %s\n", repetition, s->phase);
      settle();
      kt_announce(repetition, number);
      s->run();
    }
    number++;
  }
}

static void mount_settings(void) {
  if (mkdir("/proc", 0755) != 0) return;  // an earlier program has done it
  mkdir("/sys", 0755);
  check(mount("proc", "/proc", "proc", 0, NULL) == 0, "mount /proc");
  check(mount("sys", "/sys", "sysfs", 0, NULL) == 0, "mount /sys");
}

// Otherwise khugepaged collapses what a phase has split or mapped by small folios before the next
// phase comes to see it: it has pages to scan whenever the guest sleeps.
static void stop_khugepaged(void) {
  write_setting("/sys/kernel/mm/transparent_hugepage/khugepaged/scan_sleep_millisecs",
                "2000000000");
}

int main(int argc, char **argv) {
  if (argc == 2 && strcmp(argv[1], "--exit") == 0) return 0;  // started by an exec phase
  setvbuf(stdout, NULL, _IONBF, 0);
  mount_settings();
  stop_khugepaged();
  for (unsigned repetition = 0; repetition < REPETITIONS; repetition++)
    run_all(argc, argv, repetition);
#ifdef KT_NEXT
  argv[0] = KT_NEXT;
  execv(KT_NEXT, argv);
  check(0, "exec " KT_NEXT);
#endif
  KT_HINT(KT_DONE);
  printf("kernel-truth: done\n");
  reboot(RB_AUTOBOOT);
  return 1;
}
