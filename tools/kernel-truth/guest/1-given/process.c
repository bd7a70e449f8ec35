// SPDX-License-Identifier: MIT
// Processes and threads: fork, exec, clone, exit.
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest.h"

void fork_exit_x200(void) {
  begin();
  for (int k = 0; k < 200; k++) {
    const pid_t pid = fork();
    if (pid == 0) _exit(0);
    waitpid(pid, NULL, 0);
  }
  end();
}

static void vfork_exec(int times) {
  char *const argv[] = {KT_SELF, "--exit", NULL};
  char *const envp[] = {NULL};
  for (int k = 0; k < times; k++) {
    const pid_t pid = vfork();
    if (pid == 0) {
      execve(argv[0], argv, envp);
      _exit(1);
    }
    waitpid(pid, NULL, 0);
  }
}

void vfork_exec_x50(void) {
  begin();
  vfork_exec(50);
  end();
}

void vfork_exec_x50_aslr(void) {
  const char *const setting = "/proc/sys/kernel/randomize_va_space";
  check(write_setting(setting, "2"), setting);
  begin();
  vfork_exec(50);
  end();
  write_setting(setting, "0");
}

static int exit_at_once(void *unused) {
  (void)unused;
  return 0;
}

void clone_thread_x500(void) {
  static char stack[16 * KB] __attribute__((aligned(16)));
  const int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | SIGCHLD;
  write_each(stack, sizeof stack, PAGE);
  begin();
  for (int k = 0; k < 500; k++) {
    const pid_t pid = clone(exit_at_once, stack + sizeof stack, flags, NULL);
    waitpid(pid, NULL, 0);
  }
  end();
}
