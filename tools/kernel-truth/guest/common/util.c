// SPDX-License-Identifier: MIT
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest.h"

void check(int ok, const char *what) {
  if (ok) return;
  printf("kernel-truth: FAILED: %s: %s\n", what, strerror(errno));
  reboot(RB_AUTOBOOT);
  _exit(1);
}

char *map_aligned(size_t size, int prot, int flags, int fd) {
  // Reserve with room to align, give back what is too much, and map over the rest.
  char *room = mmap(NULL, size + PMD, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  check(room != MAP_FAILED, "mmap");
  char *start = (char *)(((uintptr_t)room + PMD - 1) & ~(uintptr_t)(PMD - 1));
  if (start > room) unmap(room, (size_t)(start - room));
  unmap(start + size, (size_t)(room + PMD - start));
  check(mmap(start, size, prot, flags | MAP_FIXED, fd, 0) == start, "mmap");
  return start;
}

char *map_anon(size_t size, int advice) {
  char *start = map_aligned(size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
  if (advice >= 0) check(madvise(start, size, advice) == 0, "madvise");
  return start;
}

void unmap(char *start, size_t size) {
  if (size) check(munmap(start, size) == 0, "munmap");
}

void write_each(char *start, size_t size, size_t step) {
  for (size_t offset = 0; offset < size; offset += step) *(volatile char *)(start + offset) = 1;
}

void read_each(const char *start, size_t size, size_t step) {
  for (size_t offset = 0; offset < size; offset += step)
    (void)*(const volatile char *)(start + offset);
}

void prepare_child(struct blocked_child *child) { check(pipe(child->pipe) == 0, "pipe"); }

void block(struct blocked_child *child) {
  static char byte;
  if (read(child->pipe[0], &byte, 1) != 1) _exit(1);
  _exit(0);
}

void release_and_wait(struct blocked_child *child) {
  if (write(child->pipe[1], "x", 1) != 1) return;
  waitpid(child->pid, NULL, 0);
}

void close_child(struct blocked_child *child) {
  close(child->pipe[0]);
  close(child->pipe[1]);
}

int write_setting(const char *path, const char *value) {
  const int fd = open(path, O_WRONLY);
  if (fd < 0) return 0;
  check(write(fd, value, strlen(value)) == (ssize_t)strlen(value), path);
  close(fd);
  return 1;
}
