// SPDX-License-Identifier: MIT
// Pages that come without faults, huge pages made of small ones, what leaves a file.
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "guest.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

static const char *const huge = "/sys/kernel/mm/transparent_hugepage/hugepages-2048kB/enabled";
static const size_t size_64m = 64 * MB;
static const size_t size_16m = 16 * MB;

static char *area;
static struct talking_child child;

static void no_orders(char order) { (void)order; }

static void without_limit(void) {
  const struct rlimit none = {RLIM_INFINITY, RLIM_INFINITY};
  check(setrlimit(RLIMIT_MEMLOCK, &none) == 0, "setrlimit");
}

static int have_sizes;  // this kernel switches each size of folios on and off (6.8)

void mmap_populate_64m(void) {
  without_limit();
  have_sizes = write_setting(huge, "never");
  if (!have_sizes) return;
  char *hole = map_anon(size_64m, -1);
  unmap(hole, size_64m);
  begin();
  area = mmap(hole, size_64m, PROT_READ | PROT_WRITE,
              MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE | MAP_FIXED, -1, 0);
  end();
  write_setting(huge, "inherit");
  check(area == hole, "mmap");
}

void munlock_none_64m(void) {
  if (!have_sizes) return;
  begin();
  munlock(area, size_64m);
  end();
}

void mlock_present_64m(void) {
  if (!have_sizes) return;
  begin();
  const int result = mlock(area, size_64m);
  end();
  check(result == 0, "mlock");
}

void locked_munmap_64m(void) {
  if (!have_sizes) return;
  begin();
  munmap(area, size_64m);
  end();
}

void mlock_fresh_64m(void) {
  area = map_anon(size_64m, MADV_NOHUGEPAGE);
  begin();
  const int result = mlock(area, size_64m);
  end();
  check(result == 0, "mlock");
  unmap(area, size_64m);
}

static int make_file(size_t size) {
  const int fd = memfd_create("file", 0);
  check(fd >= 0 && ftruncate(fd, (off_t)size) == 0, "memfd_create");
  char *start = map_aligned(size, PROT_READ | PROT_WRITE, MAP_SHARED, fd);
  write_each(start, size, PAGE);
  unmap(start, size);
  return fd;
}

void populate_read_file_16m(void) {
  const int file = make_file(size_16m);
  area = map_aligned(size_16m, PROT_READ | PROT_WRITE, MAP_SHARED, file);
  close(file);
  begin();
  const int result = madvise(area, size_16m, MADV_POPULATE_READ);
  end();
  check(result == 0, "madvise");
}

void file_clean_munmap_16m(void) {
  begin();
  munmap(area, size_16m);
  end();
}

void file_private_fork_wait_16m(void) {
  const int file = make_file(size_16m);
  area = map_aligned(size_16m, PROT_READ | PROT_WRITE, MAP_PRIVATE, file);
  close(file);
  read_each(area, size_16m, PAGE);
  write_each(area, size_16m, 2 * PAGE);
  prepare_talking_child(&child);
  begin();
  fork_and_wait_for_word(&child, no_orders);
  end();
}

void file_private_dontneed_16m(void) {
  exit_and_wait(&child);
  close_talking_child(&child);
  begin();
  madvise(area, size_16m, MADV_DONTNEED);
  end();
  unmap(area, size_16m);
}

static int collapsed;

void madv_collapse_64m(void) {
  area = map_anon(size_64m, MADV_NOHUGEPAGE);
  write_each(area, size_64m, PAGE);
  check(madvise(area, size_64m, MADV_HUGEPAGE) == 0, "madvise");
  begin();
  const int result = madvise(area, size_64m, MADV_COLLAPSE);
  end();
  check(result == 0, "MADV_COLLAPSE");
  collapsed = 1;
}

void collapsed_mremap_64m(void) {
  if (!collapsed) return;
  char *to = map_anon(size_64m, -1);
  unmap(to, size_64m);
  begin();
  area = mremap(area, size_64m, size_64m, MREMAP_MAYMOVE | MREMAP_FIXED, to);
  end();
  check(area == to, "mremap");
}

void collapsed_cold_64m(void) {
  if (!collapsed) return;
  begin();
  madvise(area, size_64m, MADV_COLD);
  end();
}

void collapsed_munmap_half_64m(void) {
  if (!collapsed) return;
  begin();
  munmap(area, 63 * MB);
  end();
  unmap(area, size_64m);
}

void shared_dontneed_16m(void) {
  area = map_aligned(size_16m, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1);
  write_each(area, size_16m, PAGE);
  begin();
  madvise(area, size_16m, MADV_DONTNEED);
  end();
}

void shared_refault_16m(void) {
  begin();
  read_each(area, size_16m, PAGE);
  end();
}

void shared_mprotect_16m(void) {
  begin();
  mprotect(area, size_16m, PROT_READ);
  end();
}

void madv_remove_16m(void) {
  check(mprotect(area, size_16m, PROT_READ | PROT_WRITE) == 0, "mprotect");
  begin();
  const int result = madvise(area, size_16m, MADV_REMOVE);
  end();
  check(result == 0, "MADV_REMOVE");
  unmap(area, size_16m);
}

void thp_zero_read_64m(void) {
  area = map_anon(size_64m, MADV_HUGEPAGE);
  begin();
  read_each(area, size_64m, PAGE);
  end();
}

void thp_zero_write_64m(void) {
  begin();
  write_each(area, size_64m, PAGE);
  end();
}

void thp_zero_munmap_64m(void) {
  begin();
  munmap(area, size_64m);
  end();
}

void mremap_grow_x1000(void) {
  char *hole = map_anon(size_16m, -1);
  unmap(hole, size_16m);
  area = mmap(hole, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  check(area == hole && madvise(area, PAGE, MADV_NOHUGEPAGE) == 0, "mmap");
  *(volatile char *)area = 1;
  begin();
  for (size_t size = PAGE; size <= 1000 * PAGE; size += PAGE) {
    mremap(area, size, size + PAGE, 0);
    *(volatile char *)(area + size) = 1;
  }
  end();
}

void mremap_grow_munmap(void) {
  begin();
  munmap(area, 1001 * PAGE);
  end();
}

static int have_folios;

void folio16k_fault_16m(void) {
  const char *const small = "/sys/kernel/mm/transparent_hugepage/hugepages-16kB/enabled";
  have_folios = write_setting(huge, "never") && write_setting(small, "always");
  if (!have_folios) return;
  area = map_anon(size_16m, -1);
  begin();
  write_each(area, size_16m, PAGE);
  end();
  check(madvise(area, size_16m, MADV_NOHUGEPAGE) == 0, "madvise");
  write_setting(small, "never");
  write_setting(huge, "inherit");
}

void folio16k_mprotect_every_2nd_16m(void) {
  if (!have_folios) return;
  begin();
  for (size_t at = 0; at < MB; at += 2 * PAGE) mprotect(area + at, PAGE, PROT_READ);
  end();
}

void folio16k_cold_16m(void) {
  if (!have_folios) return;
  begin();
  madvise(area + 8 * MB, 8 * MB, MADV_COLD);
  end();
}

void folio16k_munmap_16m(void) {
  if (!have_folios) return;
  begin();
  munmap(area, size_16m);
  end();
}
