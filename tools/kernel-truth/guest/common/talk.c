// SPDX-License-Identifier: MIT
// A child that does what the parent orders, one byte each way. Used where the order of events of
// the two processes must not be left to chance.
#include <sys/wait.h>
#include <unistd.h>

#include "guest.h"

void prepare_talking_child(struct talking_child *child) {
  check(pipe(child->to_child) == 0 && pipe(child->to_parent) == 0, "pipe");
}

static void obey(struct talking_child *child, void (*orders)(char order)) {
  char byte;
  do {
    if (write(child->to_parent[1], "w", 1) != 1) _exit(1);
    if (read(child->to_child[0], &byte, 1) != 1) _exit(1);
    if (byte != 'x') orders(byte);
  } while (byte != 'x');
  _exit(0);
}

void fork_and_wait_for_word(struct talking_child *child, void (*orders)(char order)) {
  const pid_t pid = fork();
  if (pid == 0) obey(child, orders);
  wait_for_word(child);
  child->pid = pid;
}

void order(struct talking_child *child, char order) {
  check(write(child->to_child[1], &order, 1) == 1, "write");
}

void wait_for_word(struct talking_child *child) {
  char byte;
  check(read(child->to_parent[0], &byte, 1) == 1, "read");
}

void exit_and_wait(struct talking_child *child) {
  order(child, 'x');
  waitpid(child->pid, NULL, 0);
}

void close_talking_child(struct talking_child *child) {
  for (int k = 0; k < 2; k++) {
    close(child->to_child[k]);
    close(child->to_parent[k]);
  }
}
