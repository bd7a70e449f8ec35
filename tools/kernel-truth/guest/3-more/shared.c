// SPDX-License-Identifier: MIT
// Shared anonymous memory and files (memfd: both are shmem, no disk is involved).
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "guest.h"

static const size_t size_64m = 64 * MB;
static const size_t size_16m = 16 * MB;

static char *area;
static int file;
static struct talking_child child;

static void no_orders(char order) { (void)order; }

void shared_fault_64m(void) {
  area = map_aligned(size_64m, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1);
  begin();
  write_each(area, size_64m, PAGE);
  end();
}

void shared_fork_wait_64m(void) {
  prepare_talking_child(&child);
  begin();
  fork_and_wait_for_word(&child, no_orders);
  end();
}

void shared_child_exit_64m(void) {
  begin();
  exit_and_wait(&child);
  end();
  close_talking_child(&child);
}

void shared_munmap_64m(void) {
  begin();
  munmap(area, size_64m);
  end();
}

// A file in memory whose pages are all there, written through a mapping that is gone again.
static int make_file(size_t size) {
  const int fd = memfd_create("file", 0);
  check(fd >= 0 && ftruncate(fd, (off_t)size) == 0, "memfd_create");
  char *start = map_aligned(size, PROT_READ | PROT_WRITE, MAP_SHARED, fd);
  write_each(start, size, PAGE);
  unmap(start, size);
  return fd;
}

void file_read_64m(void) {
  file = make_file(size_64m);
  area = map_aligned(size_64m, PROT_READ | PROT_WRITE, MAP_SHARED, file);
  begin();
  read_each(area, size_64m, PAGE);
  end();
}

void file_write_64m(void) {
  begin();
  write_each(area, size_64m, PAGE);
  end();
}

void file_punch_hole_64m(void) {
  begin();
  const int result =
      fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)size_64m);
  end();
  check(result == 0, "fallocate");
  unmap(area, size_64m);
  close(file);
}

void file_private_read_16m(void) {
  file = make_file(size_16m);
  area = map_aligned(size_16m, PROT_READ | PROT_WRITE, MAP_PRIVATE, file);
  begin();
  read_each(area, size_16m, PAGE);
  end();
}

void file_private_cow_16m(void) {
  begin();
  write_each(area, size_16m, PAGE);
  end();
}

void file_private_munmap_16m(void) {
  begin();
  munmap(area, size_16m);
  end();
  close(file);
}
