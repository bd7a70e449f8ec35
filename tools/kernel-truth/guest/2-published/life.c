// SPDX-License-Identifier: MIT
// Many small processes that live at the same time.
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest.h"

enum { CHILDREN = 60 };
static const size_t size_128m = 128 * MB;

static pid_t *children;            // in shared memory: no copy on write at each fork
static struct blocked_child gate;  // all children block on this pipe
static int ready[2];               // and say so on this one

static void grow_and_block(void) {
  char *area = map_anon(size_128m, MADV_NOHUGEPAGE);
  write_each(area, size_128m, PMD);
  if (write(ready[1], "r", 1) != 1) _exit(1);
  block(&gate);
}

void life_grow60(void) {
  char byte;
  children = (pid_t *)map_aligned(PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1);
  prepare_child(&gate);
  check(pipe(ready) == 0, "pipe");
  begin();
  for (int k = 0; k < CHILDREN; k++) {
    const pid_t pid = fork();
    if (pid == 0) grow_and_block();
    children[k] = pid;
  }
  for (int k = 0; k < CHILDREN; k++) check(read(ready[0], &byte, 1) == 1, "read");
  end();
}

static void kill_and_wait(int k) {
  kill(children[k], SIGKILL);
  waitpid(children[k], NULL, 0);
}

void life_kill_even(void) {
  begin();
  for (int k = 0; k < CHILDREN; k += 2) kill_and_wait(k);
  end();
  for (int k = 1; k < CHILDREN; k += 2) kill_and_wait(k);
  close_child(&gate);
  close(ready[0]);
  close(ready[1]);
  unmap((char *)children, PAGE);
}
