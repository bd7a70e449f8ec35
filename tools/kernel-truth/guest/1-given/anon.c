// SPDX-License-Identifier: MIT
// Anonymous memory of 4 KB pages: fault, fork, copy on write, protect, discard, unmap.
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest.h"

static const size_t size_64m = 64 * MB;
static const size_t size_1g = GB;

static char *area;
static struct blocked_child child;

void fault_64m(void) {
  area = map_anon(size_64m, MADV_NOHUGEPAGE);
  begin();
  write_each(area, size_64m, PAGE);
  end();
}

void fork_64m(void) {
  prepare_child(&child);
  begin();
  const pid_t pid = fork();
  if (pid == 0) block(&child);
  end();
  check(pid > 0, "fork");
  child.pid = pid;
}

void cow_break_64m(void) {
  begin();
  write_each(area, size_64m, PAGE);
  end();
}

void child_exit_64m(void) {
  begin();
  release_and_wait(&child);
  end();
  close_child(&child);
}

void write_reuse_64m(void) {
  prepare_child(&child);
  child.pid = fork();
  if (child.pid == 0) block(&child);
  release_and_wait(&child);
  close_child(&child);
  begin();
  write_each(area, size_64m, PAGE);
  end();
}

void mprotect_ro_64m(void) {
  begin();
  mprotect(area, size_64m, PROT_READ);
  end();
}

void mprotect_rw_64m(void) {
  begin();
  mprotect(area, size_64m, PROT_READ | PROT_WRITE);
  end();
}

void munmap_64m(void) {
  begin();
  munmap(area, size_64m);
  end();
}

void mmap_touch_munmap_x1000(void) {
  begin();
  for (int k = 0; k < 1000; k++) {
    char *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    *(volatile char *)page = 1;
    munmap(page, PAGE);
  }
  end();
}

void dontneed_64m(void) {
  area = map_anon(size_64m, MADV_NOHUGEPAGE);
  write_each(area, size_64m, PAGE);
  begin();
  madvise(area, size_64m, MADV_DONTNEED);
  end();
  unmap(area, size_64m);
}

void dontneed_4k_x1000(void) {
  const size_t pages = 1000;
  area = map_anon(4 * MB, MADV_NOHUGEPAGE);
  write_each(area, 4 * MB, PAGE);
  begin();
  for (size_t k = 0; k < pages; k++) madvise(area + k * PAGE, PAGE, MADV_DONTNEED);
  end();
  unmap(area, 4 * MB);
}

void fork_1g(void) {
  area = map_anon(size_1g, MADV_NOHUGEPAGE);
  write_each(area, size_1g, PAGE);
  prepare_child(&child);
  begin();
  const pid_t pid = fork();
  if (pid == 0) block(&child);
  end();
  check(pid > 0, "fork");
  child.pid = pid;
}

void munmap_1g(void) {
  release_and_wait(&child);
  close_child(&child);
  begin();
  munmap(area, size_1g);
  end();
}
