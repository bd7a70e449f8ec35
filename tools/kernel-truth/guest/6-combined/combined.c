// SPDX-License-Identifier: MIT
// Calls one after the other, as programs make them; children that do something before they go.
#define _GNU_SOURCE
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest.h"

static const size_t size_64m = 64 * MB;
static const size_t size_16m = 16 * MB;

static char *area;

static void nothing(void) {}

static void fork_and_wait(int times, void (*work)(void)) {
  for (int k = 0; k < times; k++) {
    const pid_t pid = fork();
    if (pid == 0) {
      work();
      _exit(0);
    }
    waitpid(pid, NULL, 0);
  }
}

static const size_t many = 200 * 8 * PAGE;

void vmas_of_4_fork_x5(void) {
  area = map_present(many);
  for (size_t at = 0; at < many; at += 8 * PAGE) unmap(area + at, 4 * PAGE);
  fork_and_wait(1, nothing);
  begin();
  fork_and_wait(5, nothing);
  end();
}

void vmas_of_4_dontneed(void) {
  begin();
  for (size_t at = 4 * PAGE; at < many; at += 8 * PAGE) madvise(area + at, 4 * PAGE, MADV_DONTNEED);
  end();
  unmap(area, many);
}

void mremap_1m_x50(void) {
  char *places[2];
  area = map_anon(4 * MB, MADV_NOHUGEPAGE);
  unmap(area, 4 * MB);
  for (int k = 0; k < 2; k++) places[k] = area + (size_t)k * 2 * MB;
  char *start =
      mmap(places[0], MB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  check(start == places[0] && madvise(start, MB, MADV_NOHUGEPAGE) == 0, "mmap");
  write_each(start, MB, PAGE);
  begin();
  for (int k = 0; k < 50; k++)
    mremap(places[k & 1], MB, MB, MREMAP_MAYMOVE | MREMAP_FIXED, places[(k + 1) & 1]);
  end();
  unmap(places[0], MB);
}

void populate_munmap_x20(void) {
  const char *const huge = "/sys/kernel/mm/transparent_hugepage/hugepages-2048kB/enabled";
  if (!write_setting(huge, "never")) return;
  area = map_anon(4 * MB, -1);
  unmap(area, 4 * MB);
  begin();
  for (int k = 0; k < 20; k++) {
    mmap(area, 4 * MB, PROT_READ | PROT_WRITE,
         MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE | MAP_FIXED, -1, 0);
    munmap(area, 4 * MB);
  }
  end();
  write_setting(huge, "inherit");
}

void free_then_munmap_16m(void) {
  area = map_present(size_16m);
  check(madvise(area, size_16m, MADV_FREE) == 0, "MADV_FREE");
  begin();
  munmap(area, size_16m);
  end();
}

void mremap_in_place_x2(void) {
  char *room = map_anon(size_64m, -1);
  unmap(room, size_64m);
  area =
      mmap(room, 32 * MB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  check(area == room && madvise(area, 32 * MB, MADV_NOHUGEPAGE) == 0, "mmap");
  write_each(area, 32 * MB, PAGE);
  begin();
  mremap(area, 32 * MB, size_64m, 0);
  write_each(area + 32 * MB, 32 * MB, PAGE);
  mremap(area, size_64m, 32 * MB, 0);
  end();
  unmap(area, 32 * MB);
}

void stripes_4m(void) {
  area = map_present(4 * MB);
  begin();
  for (size_t at = 0; at < 4 * MB; at += 128 * KB) mprotect(area + at, 64 * KB, PROT_READ);
  mprotect(area, 4 * MB, PROT_READ | PROT_WRITE);
  end();
  unmap(area, 4 * MB);
}

static void unmaps(void) { munmap(area, size_16m); }
static void protects(void) { mprotect(area, size_16m, PROT_READ); }
static void reads(void) { read_each(area, size_16m, PAGE); }
static void maps(void) {
  char *own = mmap(area - size_64m, size_16m, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  madvise(own, size_16m, MADV_NOHUGEPAGE);
  write_each(own, size_16m, PAGE);
}
static void writes_huge(void) { write_each(area, size_16m, PMD); }

static void children(int times, char *start, void (*work)(void)) {
  area = start;
  fork_and_wait(1, work);
  begin();
  fork_and_wait(times, work);
  end();
  unmap(area, size_16m);
}

void child_munmap_16m_x10(void) { children(10, map_present(size_16m), unmaps); }
void child_mprotect_16m_x10(void) { children(10, map_present(size_16m), protects); }
void child_reads_16m_x10(void) { children(10, map_present(size_16m), reads); }
void child_maps_16m_x10(void) { children(10, map_anon(size_16m, MADV_NOHUGEPAGE), maps); }
void thp_child_writes_x10(void) { children(10, map_huge(size_16m), writes_huge); }

void thp_protect_none_64m(void) {
  area = map_huge(size_64m);
  begin();
  mprotect(area, size_64m, PROT_NONE);
  mprotect(area, size_64m, PROT_READ | PROT_WRITE);
  end();
  unmap(area, size_64m);
}

static void advise_parts(int advice) {
  area = map_huge(size_64m);
  begin();
  for (size_t at = 0; at < size_64m; at += PMD) madvise(area + at, 64 * KB, advice);
  end();
  unmap(area, size_64m);
}

void free_64k_of_huge_x32(void) { advise_parts(MADV_FREE); }
void cold_64k_of_huge_x32(void) { advise_parts(MADV_COLD); }
