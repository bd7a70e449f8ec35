// SPDX-License-Identifier: MIT
// Calls that change credentials. By their numbers: the C library's would ask all threads to do the
// same.
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <unistd.h>

#include "guest.h"

enum { TIMES = 1000, ROOT = 0, OTHER = 1000, AS_IT_IS = -1 };

static void as(long call, int id) { check(syscall(call, AS_IT_IS, id, AS_IT_IS) == 0, "set id"); }

// The last one is root again.
static void back_and_forth(long call) {
  begin();
  for (int k = 1; k <= TIMES; k++) syscall(call, AS_IT_IS, k % 2 ? OTHER : ROOT, AS_IT_IS);
  end();
  as(call, ROOT);
}

void setuid_x1000(void) {
  check(syscall(SYS_setuid, ROOT) == 0, "setuid");
  begin();
  for (int k = 0; k < TIMES; k++) syscall(SYS_setuid, ROOT);
  end();
}

void setresuid_x1000(void) { back_and_forth(SYS_setresuid); }

void setresgid_x1000(void) { back_and_forth(SYS_setresgid); }

void setresuid_same_x1000(void) {
  as(SYS_setresuid, ROOT);
  begin();
  for (int k = 0; k < TIMES; k++) syscall(SYS_setresuid, AS_IT_IS, ROOT, AS_IT_IS);
  end();
}
