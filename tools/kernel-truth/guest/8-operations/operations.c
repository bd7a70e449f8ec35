// SPDX-License-Identifier: MIT
// Calls about memory that programs seldom make, and what the kernel writes into user memory.
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

#include "guest.h"

static const char *const huge = "/sys/kernel/mm/transparent_hugepage/hugepages-2048kB/enabled";
static const size_t size_64m = 64 * MB;
static const size_t size_16m = 16 * MB;

static char *area, *other;
static int fd;
static struct talking_child child;

static void without_limit(void) {
  const struct rlimit none = {RLIM_INFINITY, RLIM_INFINITY};
  check(setrlimit(RLIMIT_MEMLOCK, &none) == 0, "setrlimit");
}

// A hole of that size, 2 MB aligned.
static char *make_hole(size_t size) {
  char *hole = map_anon(size, -1);
  unmap(hole, size);
  return hole;
}

// A memfd, mapped shared, all pages written.
static char *map_file(size_t size) {
  fd = memfd_create("file", 0);
  check(fd >= 0 && ftruncate(fd, (off_t)size) == 0, "memfd_create");
  char *start = map_aligned(size, PROT_READ | PROT_WRITE, MAP_SHARED, fd);
  write_each(start, size, PAGE);
  return start;
}

void mremap_dontunmap_64m(void) {
  area = map_present(size_64m);
  other = make_hole(size_64m);
  begin();
  char *to =
      mremap(area, size_64m, size_64m, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, other);
  end();
  check(to == other, "mremap");
}

void dontunmap_refault_64m(void) {
  begin();
  write_each(area, size_64m, PAGE);
  end();
}

void dontunmap_munmap_64m(void) {
  begin();
  munmap(area, size_64m);
  munmap(other, size_64m);
  end();
}

static void write_area(char order) {
  (void)order;
  write_each(area, size_64m, PAGE);
}

void wipeonfork_fork_64m(void) {
  area = map_present(size_64m);
  check(madvise(area, size_64m, MADV_WIPEONFORK) == 0, "MADV_WIPEONFORK");
  prepare_talking_child(&child);
  begin();
  fork_and_wait_for_word(&child, write_area);
  end();
}

void wipeonfork_child_write_64m(void) {
  begin();
  order(&child, 'd');
  wait_for_word(&child);
  end();
}

void wipeonfork_child_exit_64m(void) {
  begin();
  exit_and_wait(&child);
  end();
  close_talking_child(&child);
  unmap(area, size_64m);
}

void ftruncate_mapped_64m(void) {
  area = map_file(size_64m);
  begin();
  const int result = ftruncate(fd, 0);
  end();
  check(result == 0, "ftruncate");
  unmap(area, size_64m);
  close(fd);
}

void ftruncate_private_16m(void) {
  unmap(map_file(size_16m), size_16m);
  area = map_aligned(size_16m, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd);
  read_each(area, size_16m, PAGE);
  write_each(area, size_16m, 2 * PAGE);
  begin();
  const int result = ftruncate(fd, 8 * MB);
  end();
  check(result == 0, "ftruncate");
  unmap(area, size_16m);
  close(fd);
}

static int punch(size_t offset, size_t size) {
  return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)size);
}

void punch_hole_16m(void) {
  area = map_file(size_16m);
  begin();
  const int result = punch(0, size_16m);
  end();
  check(result == 0, "fallocate");
}

void punch_hole_4k_x1000(void) {
  write_each(area, size_16m, PAGE);
  begin();
  for (size_t k = 0; k < 1000; k++) punch(2 * k * PAGE, PAGE);
  end();
}

void ftruncate_4k_x1000(void) {
  write_each(area, size_16m, PAGE);
  begin();
  for (size_t k = 1; k <= 1000; k++)
    if (ftruncate(fd, (off_t)(size_16m - k * PAGE)) != 0) break;
  end();
  unmap(area, size_16m);
  close(fd);
}

void memfd_close_64m(void) {
  unmap(map_file(size_64m), size_64m);
  begin();
  close(fd);
  end();
}

static void randomise(char *at, size_t size) {
  check(getrandom(at, size, 0) == (ssize_t)size, "getrandom");
}

void getrandom_4m(void) {
  area = map_anon(4 * MB, MADV_NOHUGEPAGE);
  begin();
  const ssize_t got = getrandom(area, 4 * MB, 0);
  end();
  check(got == (ssize_t)(4 * MB), "getrandom");
}

void getrandom_16_x1000(void) {
  begin();
  for (int k = 0; k < 1000; k++) getrandom(area, 16, 0);
  end();
}

void getrandom_4k_x100(void) {
  randomise(area, PAGE);
  begin();
  for (int k = 0; k < 100; k++) getrandom(area, PAGE, 0);
  end();
  unmap(area, 4 * MB);
}

void read_fresh_16m(void) {
  unmap(map_file(size_16m), size_16m);
  area = map_anon(size_16m, MADV_NOHUGEPAGE);
  begin();
  const ssize_t got = pread(fd, area, size_16m, 0);
  end();
  check(got == (ssize_t)size_16m, "pread");
  unmap(area, size_16m);
}

void write_fresh_16m(void) {
  area = map_anon(size_16m, MADV_NOHUGEPAGE);
  begin();
  const ssize_t put = pwrite(fd, area, size_16m, 0);
  end();
  check(put == (ssize_t)size_16m, "pwrite");
  unmap(area, size_16m);
  close(fd);
}

static int have_sizes;  // this kernel switches each size of folios on and off (6.8)

void brk_to_start_64m(void) {
  have_sizes = write_setting(huge, "never");
  if (!have_sizes) return;
  area = sbrk(0);
  check(brk(area + size_64m) == 0, "brk");
  write_each(area, size_64m, PAGE);
  begin();
  const int result = brk(area);
  end();
  check(result == 0, "brk");
}

void brk_again_64m(void) {
  if (!have_sizes) return;
  begin();
  const int result = brk(area + size_64m);
  write_each(area, size_64m, PAGE);
  end();
  check(result == 0 && brk(area) == 0, "brk");
  write_setting(huge, "inherit");
}

void mlock2_onfault_64m(void) {
  without_limit();
  area = map_anon(size_64m, MADV_NOHUGEPAGE);
  begin();
  const int result = mlock2(area, size_64m, MLOCK_ONFAULT);
  end();
  check(result == 0, "mlock2");
}

void onfault_write_64m(void) {
  begin();
  write_each(area, size_64m, PAGE);
  end();
}

void munlock_64m(void) {
  begin();
  const int result = munlock(area, size_64m);
  end();
  check(result == 0, "munlock");
  unmap(area, size_64m);
}

static char *map_in(char *hole) {
  return mmap(hole, size_64m, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
              0);
}

void mlockall_future_64m(void) {
  if (!write_setting(huge, "never")) return;
  area = make_hole(size_64m);
  check(mlockall(MCL_FUTURE) == 0, "mlockall");
  begin();
  char *start = map_in(area);
  end();
  check(start == area, "mmap");
}

void mlockall_onfault_64m(void) {
  if (!have_sizes) return;
  check(munlockall() == 0, "munlockall");
  other = make_hole(size_64m);
  check(mlock(area, size_64m) == 0, "mlock");
  check(mlockall(MCL_FUTURE | MCL_ONFAULT) == 0, "mlockall");
  begin();
  char *start = map_in(other);
  end();
  check(start == other, "mmap");
  unmap(other, size_64m);
}

void munlockall_64m(void) {
  if (!have_sizes) return;
  begin();
  munlockall();
  end();
  unmap(area, size_64m);
  write_setting(huge, "inherit");
}

static void page_out(char *start, size_t size) {
  begin();
  const int result = madvise(start, size, MADV_PAGEOUT);
  end();
  check(result == 0, "MADV_PAGEOUT");
}

void pageout_64m(void) {
  area = map_present(size_64m);
  page_out(area, size_64m);
  unmap(area, size_64m);
}

void pageout_thp_16m(void) {
  area = map_huge(size_16m);
  page_out(area, size_16m);
  unmap(area, size_16m);
}

void pageout_shared_16m(void) {
  area = map_aligned(size_16m, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1);
  write_each(area, size_16m, PAGE);
  page_out(area, size_16m);
}

void pageout_refault_16m(void) {
  begin();
  read_each(area, size_16m, PAGE);
  end();
  unmap(area, size_16m);
}

void mremap_old_size_0_16m(void) {
  area = map_aligned(size_16m, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1);
  write_each(area, size_16m, PAGE);
  other = make_hole(size_16m);
  begin();
  char *to = mremap(area, 0, size_16m, MREMAP_MAYMOVE | MREMAP_FIXED, other);
  end();
  check(to == other, "mremap");
}

void duplicate_write_16m(void) {
  begin();
  write_each(other, size_16m, PAGE);
  end();
  unmap(area, size_16m);
  unmap(other, size_16m);
}
