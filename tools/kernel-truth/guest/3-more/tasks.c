// SPDX-License-Identifier: MIT
// Processes and threads: fork without chance, exec, exit, stack growth, context switches.
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest.h"

static const size_t size_64m = 64 * MB;
static const size_t size_1m = MB;

static char *area;
static struct talking_child child;

static void write_area(char order) {
  (void)order;
  write_each(area, size_64m, PAGE);
}

void fork_wait_64m(void) {
  area = map_anon(size_64m, MADV_NOHUGEPAGE);
  write_each(area, size_64m, PAGE);
  prepare_talking_child(&child);
  begin();
  fork_and_wait_for_word(&child, write_area);
  end();
}

void child_write_64m(void) {
  begin();
  order(&child, 'd');
  wait_for_word(&child);
  end();
}

void child_exit_own_64m(void) {
  begin();
  exit_and_wait(&child);
  end();
  close_talking_child(&child);
  unmap(area, size_64m);
}

void fork_exec_x50(void) {
  char *const argv[] = {KT_SELF, "--exit", NULL};
  char *const envp[] = {NULL};
  begin();
  for (int k = 0; k < 50; k++) {
    const pid_t pid = fork();
    if (pid == 0) {
      execve(argv[0], argv, envp);
      _exit(1);
    }
    waitpid(pid, NULL, 0);
  }
  end();
}

static void map_and_write(char order) {
  (void)order;
  area = map_anon(size_64m, MADV_NOHUGEPAGE);
  write_each(area, size_64m, PAGE);
}

void exit_64m(void) {
  prepare_talking_child(&child);
  fork_and_wait_for_word(&child, map_and_write);
  order(&child, 'd');
  wait_for_word(&child);
  begin();
  exit_and_wait(&child);
  end();
  close_talking_child(&child);
}

static void grow_stack(char order) {
  volatile char *top = __builtin_frame_address(0);
  (void)order;
  begin();
  for (size_t depth = PAGE; depth <= size_1m; depth += PAGE) *(top - depth) = 1;
  end();
}

// In a child, so that each repetition starts with a small stack.
void stack_grow_1m(void) {
  prepare_talking_child(&child);
  fork_and_wait_for_word(&child, grow_stack);
  order(&child, 'd');
  wait_for_word(&child);
  exit_and_wait(&child);
  close_talking_child(&child);
}

static int to_other[2], to_us[2];

static int echo(void *unused) {
  char byte;
  (void)unused;
  while (read(to_other[0], &byte, 1) == 1)
    if (write(to_us[1], &byte, 1) != 1) return 1;
  return 0;
}

// Measures 1000 round trips with a task that shares what flags say, then kills it.
static void ping_pong(int flags) {
  static char stack[16 * KB] __attribute__((aligned(16)));
  char byte = 'p';
  check(pipe(to_other) == 0 && pipe(to_us) == 0, "pipe");
  const pid_t pid = clone(echo, stack + sizeof stack, flags | SIGCHLD, NULL);
  check(pid > 0, "clone");
  for (int warm = 1; warm >= 0; warm--) {  // the first trip brings the other task to its loop
    if (!warm) begin();
    for (int k = 0; k < (warm ? 1 : 1000); k++) {
      check(write(to_other[1], &byte, 1) == 1, "write");
      check(read(to_us[0], &byte, 1) == 1, "read");
    }
    if (!warm) end();
  }
  kill(pid, SIGKILL);
  waitpid(pid, NULL, 0);
  for (int k = 0; k < 2; k++) {
    close(to_other[k]);
    close(to_us[k]);
  }
}

void pipe_processes_x1000(void) { ping_pong(0); }

void pipe_threads_x1000(void) { ping_pong(CLONE_VM | CLONE_FS | CLONE_FILES); }

void getppid_x10000(void) {
  begin();
  for (int k = 0; k < 10000; k++) getppid();
  end();
}
