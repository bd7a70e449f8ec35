// SPDX-License-Identifier: MIT
// Reserved huge pages (hugetlb) of each size that arm64 has with 4 KB pages: 64 KB and 32 MB are
// runs of 16 contiguous entries, 2 MB and 1 GB are blocks.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "guest.h"

#ifndef MAP_HUGE_SHIFT
#define MAP_HUGE_SHIFT 26
#endif
#ifndef MFD_HUGETLB
#define MFD_HUGETLB 4U
#endif

// Alone in their gigabytes, so that what is unmapped takes its page tables along.
static char *const place = (char *)0x4000000000;
static char *const other_place = (char *)0x6000000000;

struct kind {
  size_t page, size;   // of a huge page, of the mapping
  int shift;           // of the huge page
  const char *pool;    // how many of them the kernel keeps
  const char *enough;  // for the mapping and a copy of it, if the machine has so many
};

static const struct kind k64 = {64 * KB, 64 * MB, 16,
                                "/sys/kernel/mm/hugepages/hugepages-64kB/nr_hugepages", "2048"};
static const struct kind k2m = {2 * MB, 64 * MB, 21,
                                "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "64"};
static const struct kind k32m = {32 * MB, 128 * MB, 25,
                                 "/sys/kernel/mm/hugepages/hugepages-32768kB/nr_hugepages", "8"};
static const struct kind k1g = {GB, GB, 30,
                                "/sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages", "1"};

static struct talking_child child;
static int have_pool;

static void no_orders(char order) { (void)order; }

static int pool_is(const char *path, const char *wanted) {
  char text[32] = "";
  const int fd = open(path, O_RDONLY);
  if (fd < 0) return 0;
  check(read(fd, text, sizeof text - 1) > 0, path);
  close(fd);
  return atol(text) == atol(wanted);
}

static int fill_pool(const struct kind *kind) {
  return write_setting(kind->pool, kind->enough) && pool_is(kind->pool, kind->enough);
}

static void map_huge_pages(const struct kind *kind, int flags) {
  void *const at =
      mmap(place, kind->size, PROT_READ | PROT_WRITE,
           flags | MAP_ANONYMOUS | MAP_FIXED | MAP_HUGETLB | kind->shift << MAP_HUGE_SHIFT, -1, 0);
  check(at == place, "mmap(MAP_HUGETLB)");
}

static void mmap_phase(const struct kind *kind) {
  have_pool = fill_pool(kind);
  if (!have_pool) return;
  begin();
  map_huge_pages(kind, MAP_PRIVATE);
  end();
}

static void write_phase(const struct kind *kind) {
  if (!have_pool) return;
  begin();
  write_each(place, kind->size, PAGE);
  end();
}

static void read_phase(const struct kind *kind) {
  if (!have_pool) return;
  begin();
  read_each(place, kind->size, PAGE);
  end();
}

static void fork_phase(const struct kind *kind) {
  (void)kind;
  if (!have_pool) return;
  prepare_talking_child(&child);
  begin();
  fork_and_wait_for_word(&child, no_orders);
  end();
}

static void exit_phase(const struct kind *kind) {
  (void)kind;
  if (!have_pool) return;
  begin();
  exit_and_wait(&child);
  end();
  close_talking_child(&child);
}

static void protect_phase(const struct kind *kind, int prot) {
  if (!have_pool) return;
  begin();
  const int result = mprotect(place, kind->size, prot);
  end();
  check(result == 0, "mprotect");
}

static void mremap_phase(const struct kind *kind) {
  if (!have_pool) return;
  begin();
  void *const at =
      mremap(place, kind->size, kind->size, MREMAP_MAYMOVE | MREMAP_FIXED, other_place);
  end();
  check(at == other_place, "mremap");
  check(mremap(other_place, kind->size, kind->size, MREMAP_MAYMOVE | MREMAP_FIXED, place) == place,
        "mremap back");
}

static void dontneed_phase(const struct kind *kind) {
  if (!have_pool) return;
  begin();
  const int result = madvise(place, kind->size, MADV_DONTNEED);
  end();
  check(result == 0, "MADV_DONTNEED");
}

static void munmap_phase(const struct kind *kind) {
  if (!have_pool) return;
  begin();
  munmap(place, kind->size);
  end();
}

static void populate_phase(const struct kind *kind) {
  if (!have_pool) return;
  begin();
  map_huge_pages(kind, MAP_PRIVATE | MAP_POPULATE);
  end();
  unmap(place, kind->size);
}

static void shared_fault_phase(const struct kind *kind) {
  if (!have_pool) return;
  map_huge_pages(kind, MAP_SHARED);
  write_phase(kind);
}

static void last_phase(const struct kind *kind) {
  munmap_phase(kind);
  write_setting(kind->pool, "0");
  have_pool = 0;
}

#define PHASES(name, kind)                                                                  \
  void hugetlb_##name##_mmap(void) { mmap_phase(&kind); }                                   \
  void hugetlb_##name##_fault(void) { write_phase(&kind); }                                 \
  void hugetlb_##name##_fork_wait(void) { fork_phase(&kind); }                              \
  void hugetlb_##name##_exit(void) { exit_phase(&kind); }                                   \
  void hugetlb_##name##_mprotect(void) { protect_phase(&kind, PROT_READ); }                 \
  void hugetlb_##name##_mprotect_back(void) { protect_phase(&kind, PROT_READ | PROT_WRITE); } \
  void hugetlb_##name##_reuse(void) { write_phase(&kind); }                                 \
  void hugetlb_##name##_mremap(void) { mremap_phase(&kind); }                               \
  void hugetlb_##name##_dontneed(void) { dontneed_phase(&kind); }                           \
  void hugetlb_##name##_read(void) { read_phase(&kind); }                                   \
  void hugetlb_##name##_write(void) { write_phase(&kind); }                                 \
  void hugetlb_##name##_munmap(void) { munmap_phase(&kind); }                               \
  void hugetlb_##name##_populate(void) { populate_phase(&kind); }                           \
  void hugetlb_##name##_shared_fault(void) { shared_fault_phase(&kind); }                   \
  void hugetlb_##name##_shared_mprotect(void) { protect_phase(&kind, PROT_READ); }          \
  void hugetlb_##name##_shared_munmap(void) { last_phase(&kind); }

PHASES(64k, k64)
PHASES(2m, k2m)
PHASES(32m, k32m)
PHASES(1g, k1g)

void hugetlb_64k_cow(void) { write_phase(&k64); }
void hugetlb_2m_cow(void) { write_phase(&k2m); }
void hugetlb_32m_cow(void) { write_phase(&k32m); }

// Processes that map the same whole gigabyte of a file by huge pages of 2 MB share its page table.
static const struct kind gigabyte = {2 * MB, GB, 21,
                                     "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages",
                                     "512"};

static void touch_gigabyte(char order) {
  (void)order;
  write_each(place, GB, PAGE);
}

void hugetlb_share_fault(void) {
  have_pool = fill_pool(&gigabyte);
  if (!have_pool) return;
  const int fd = memfd_create("huge", MFD_HUGETLB | 21U << MAP_HUGE_SHIFT);
  check(fd >= 0 && ftruncate(fd, (off_t)GB) == 0, "memfd_create(MFD_HUGETLB)");
  check(mmap(place, GB, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == place, "mmap");
  close(fd);
  write_phase(&gigabyte);
}

void hugetlb_share_fork_wait(void) {
  if (!have_pool) return;
  prepare_talking_child(&child);
  begin();
  fork_and_wait_for_word(&child, touch_gigabyte);
  end();
}

void hugetlb_share_child_writes(void) {
  if (!have_pool) return;
  begin();
  order(&child, 't');
  wait_for_word(&child);
  end();
}

void hugetlb_share_mprotect(void) { protect_phase(&gigabyte, PROT_READ); }
void hugetlb_share_read(void) { read_phase(&gigabyte); }
void hugetlb_share_exit(void) { exit_phase(&gigabyte); }
void hugetlb_share_munmap(void) { last_phase(&gigabyte); }
