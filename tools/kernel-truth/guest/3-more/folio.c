// SPDX-License-Identifier: MIT
// Huge pages that are shared, split and given back in part; folios of 64 KB (contiguous bit).
#include <sys/mman.h>
#include <unistd.h>

#include "guest.h"

static const size_t size_64m = 64 * MB;
static const size_t folio_64k = 64 * KB;

static char *area;
static struct talking_child child;

static void no_orders(char order) { (void)order; }

static void fork_wait(void) {
  prepare_talking_child(&child);
  begin();
  fork_and_wait_for_word(&child, no_orders);
  end();
}

static void end_child(void) {
  exit_and_wait(&child);
  close_talking_child(&child);
}

void thp_fork_wait_64m(void) {
  area = map_huge(size_64m);
  fork_wait();
}

void thp_cow_64m(void) {
  begin();
  write_each(area, size_64m, PAGE);
  end();
}

void thp_cow_munmap_64m(void) {
  end_child();
  begin();
  munmap(area, size_64m);
  end();
}

void thp_mprotect_64m(void) {
  area = map_huge(size_64m);
  begin();
  mprotect(area, size_64m, PROT_READ);
  end();
}

void thp_mprotect_4k_x32(void) {
  begin();
  for (size_t at = 0; at < size_64m; at += PMD) mprotect(area + at, PAGE, PROT_READ | PROT_WRITE);
  end();
}

void thp_split_munmap_64m(void) {
  begin();
  munmap(area, size_64m);
  end();
}

void thp_dontneed_4k_x32(void) {
  area = map_huge(size_64m);
  begin();
  for (size_t at = 0; at < size_64m; at += PMD) madvise(area + at, PAGE, MADV_DONTNEED);
  end();
}

void thp_dontneed_64m(void) {
  begin();
  madvise(area, size_64m, MADV_DONTNEED);
  end();
  unmap(area, size_64m);
}

// Folios of 64 KB are switched on for the time of the fault; 0: this kernel has none (before 6.8).
static int map_folios_64k(void (*fault)(void)) {
  const char *const small = "/sys/kernel/mm/transparent_hugepage/hugepages-64kB/enabled";
  const char *const huge = "/sys/kernel/mm/transparent_hugepage/hugepages-2048kB/enabled";
  if (!write_setting(huge, "never") || !write_setting(small, "always")) return 0;
  area = map_anon(size_64m, -1);
  fault();
  // Switching huge pages on again starts khugepaged, and it scans at once: not this area.
  check(madvise(area, size_64m, MADV_NOHUGEPAGE) == 0, "madvise");
  write_setting(small, "never");
  write_setting(huge, "inherit");
  return 1;
}

static void fault_all(void) { write_each(area, size_64m, PAGE); }

static void fault_all_measured(void) {
  begin();
  write_each(area, size_64m, PAGE);
  end();
}

static int have_folios;

void folio64k_fault_64m(void) { have_folios = map_folios_64k(fault_all_measured); }

void folio64k_mprotect_64m(void) {
  if (!have_folios) return;
  begin();
  mprotect(area, size_64m, PROT_READ);
  end();
}

void folio64k_mprotect_rw_64m(void) {
  if (!have_folios) return;
  begin();
  mprotect(area, size_64m, PROT_READ | PROT_WRITE);
  end();
}

void folio64k_fork_wait_64m(void) {
  if (have_folios) fork_wait();
}

void folio64k_cow_64m(void) {
  if (!have_folios) return;
  begin();
  write_each(area, size_64m, PAGE);
  end();
}

void folio64k_munmap_64m(void) {
  if (!have_folios) return;
  end_child();
  begin();
  munmap(area, size_64m);
  end();
}

void folio64k_dontneed_4k_x1024(void) {
  have_folios = map_folios_64k(fault_all);
  if (!have_folios) return;
  begin();
  for (size_t at = 0; at < size_64m; at += folio_64k) madvise(area + at, PAGE, MADV_DONTNEED);
  end();
}

void folio64k_holes_munmap_64m(void) {
  if (!have_folios) return;
  begin();
  munmap(area, size_64m);
  end();
}
