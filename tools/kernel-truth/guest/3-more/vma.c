// SPDX-License-Identifier: MIT
// Anonymous 4 KB pages: moves, heap, holes, partial unmap, sparse areas, the zero page.
#define _GNU_SOURCE
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "guest.h"

static const size_t size_64m = 64 * MB;
static const size_t size_16m = 16 * MB;
static const size_t size_4m = 4 * MB;
static const size_t size_1g = GB;

static char *area;

// An address range that is free and 2 MB aligned, for MREMAP_FIXED.
static char *find_free(size_t size) {
  char *start = map_anon(size, -1);
  unmap(start, size);
  return start;
}

static char *move(char *from, size_t size, char *to) {
  return mremap(from, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, to);
}

void mremap_move_64m(void) {
  area = map_present(size_64m);
  char *to = find_free(size_64m);
  begin();
  area = move(area, size_64m, to);
  end();
  check(area == to, "mremap");
}

void mremap_move_unaligned_64m(void) {
  const size_t beyond = 64 * KB;
  char *to = find_free(size_64m + PMD) + beyond;
  begin();
  area = move(area, size_64m, to);
  end();
  check(area == to, "mremap");
}

void mremap_shrink_64m(void) {
  begin();
  mremap(area, size_64m, size_64m / 2, 0);
  end();
  unmap(area, size_64m / 2);
}

void brk_grow_4m(void) {
  prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);  // khugepaged is not to collapse the heap as it grows
  sbrk(PAGE);  // the C library writes down the new end: its page is not to fault in the phase
  begin();
  for (size_t grown = 0; grown < size_4m; grown += PAGE) {
    char *page = sbrk(PAGE);
    *(volatile char *)page = 1;
  }
  end();
}

void brk_shrink_4m(void) {
  begin();
  sbrk(-(intptr_t)size_4m);
  end();
  prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0);
}

void dontneed_every_2nd_16m(void) {
  area = map_present(size_16m);
  begin();
  for (size_t at = 0; at < size_16m; at += 2 * PAGE) madvise(area + at, PAGE, MADV_DONTNEED);
  end();
}

void dontneed_holes_16m(void) {
  begin();
  madvise(area, size_16m, MADV_DONTNEED);
  end();
  unmap(area, size_16m);
}

void mprotect_every_2nd_4m(void) {
  area = map_present(size_4m);
  begin();
  for (size_t at = 0; at < size_4m; at += 2 * PAGE) mprotect(area + at, PAGE, PROT_READ);
  end();
}

void munmap_every_2nd_4m(void) {
  begin();
  for (size_t at = 0; at < size_4m; at += 2 * PAGE) munmap(area + at, PAGE);
  end();
}

void munmap_rest_4m(void) {
  begin();
  munmap(area, size_4m);
  end();
}

void mprotect_4k_x1000(void) {
  area = map_present(PAGE);
  begin();
  for (int k = 0; k < 1000; k++) {
    mprotect(area, PAGE, PROT_READ);
    mprotect(area, PAGE, PROT_READ | PROT_WRITE);
    *(volatile char *)area = 1;
  }
  end();
  unmap(area, PAGE);
}

void mprotect_none_64m(void) {
  area = map_present(size_64m);
  begin();
  mprotect(area, size_64m, PROT_NONE);
  end();
}

void munmap_middle_32m(void) {
  begin();
  munmap(area + size_64m / 4, size_64m / 2);
  end();
  unmap(area, size_64m);
}

void sparse_fault_1g(void) {
  area = map_anon(size_1g, MADV_NOHUGEPAGE);
  begin();
  write_each(area, size_1g, PMD);
  end();
}

void sparse_mprotect_1g(void) {
  begin();
  mprotect(area, size_1g, PROT_READ);
  end();
}

void sparse_munmap_1g(void) {
  begin();
  munmap(area, size_1g);
  end();
}

void zero_read_64m(void) {
  area = map_anon(size_64m, MADV_NOHUGEPAGE);
  begin();
  read_each(area, size_64m, PAGE);
  end();
}

void zero_write_64m(void) {
  begin();
  write_each(area, size_64m, PAGE);
  end();
  unmap(area, size_64m);
}

void zero_munmap_64m(void) {
  area = map_anon(size_64m, MADV_NOHUGEPAGE);
  read_each(area, size_64m, PAGE);
  begin();
  munmap(area, size_64m);
  end();
}

void madv_populate_64m(void) {
  area = map_anon(size_64m, MADV_NOHUGEPAGE);
  begin();
  madvise(area, size_64m, MADV_POPULATE_WRITE);
  end();
}

void madv_free_64m(void) {
  begin();
  madvise(area, size_64m, MADV_FREE);
  end();
}

void madv_free_write_64m(void) {
  begin();
  write_each(area, size_64m, PAGE);
  end();
}

void madv_cold_64m(void) {
  begin();
  madvise(area, size_64m, MADV_COLD);
  end();
  unmap(area, size_64m);
}

static void mmap_touch_munmap(char *where, int times) {
  const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
  for (int k = 0; k < times; k++) {
    mmap(where, PAGE, PROT_READ | PROT_WRITE, flags, -1, 0);
    *(volatile char *)where = 1;
    munmap(where, PAGE);
  }
}

void lone_page_1_table_x500(void) {
  char *where = (char *)(1024 * GB + 2 * PMD);
  char *neighbour = (char *)(1024 * GB);  // keeps the upper tables of the area
  const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
  check(mmap(neighbour, PAGE, PROT_READ | PROT_WRITE, flags, -1, 0) == neighbour, "mmap");
  *(volatile char *)neighbour = 1;
  begin();
  mmap_touch_munmap(where, 500);
  end();
  unmap(neighbour, PAGE);
}

void lone_page_3_tables_x500(void) {
  char *where = (char *)(2048 * GB);
  begin();
  mmap_touch_munmap(where, 500);
  end();
}
