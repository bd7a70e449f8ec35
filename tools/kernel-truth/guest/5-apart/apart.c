// SPDX-License-Identifier: MIT
// Mappings that are taken apart or moved, far and many ones, processes of processes.
#define _GNU_SOURCE
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest.h"

static const size_t size_64m = 64 * MB;
static const size_t size_16m = 16 * MB;

static char *area;

static char *hole(size_t size) {
  char *start = map_anon(size, -1);
  unmap(start, size);
  return start;
}

static void fork_exit_wait(int times) {
  for (int k = 0; k < times; k++) {
    const pid_t pid = fork();
    if (pid == 0) _exit(0);
    waitpid(pid, NULL, 0);
  }
}

void munmap_in_pieces_16m(void) {
  area = map_present(size_16m);
  begin();
  for (size_t at = 0; at < size_16m; at += 64 * KB) munmap(area + at, 64 * KB);
  end();
}

void map_over_64m(void) {
  area = map_present(size_64m);
  begin();
  mmap(area, size_64m, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  end();
  unmap(area, size_64m);
}

void mremap_shrink_x256(void) {
  area = map_present(32 * MB);
  begin();
  for (size_t size = 32 * MB; size > 16 * MB; size -= 64 * KB)
    mremap(area, size, size - 64 * KB, 0);
  end();
  unmap(area, 16 * MB);
}

void dontneed_every_2nd_2m(void) {
  area = map_present(size_64m);
  begin();
  for (size_t at = 0; at < size_64m; at += 2 * PMD) madvise(area + at, PMD, MADV_DONTNEED);
  end();
  unmap(area, size_64m);
}

void mprotect_three_areas_16m(void) {
  area = map_present(size_16m);
  begin();
  mprotect(area, size_16m, PROT_READ);
  mprotect(area, 4 * MB, PROT_READ | PROT_WRITE);
  mprotect(area + 12 * MB, 4 * MB, PROT_READ | PROT_WRITE);
  mprotect(area + 4 * MB, 8 * MB, PROT_READ | PROT_WRITE);
  end();
  unmap(area, size_16m);
}

void thp_munmap_1m_each(void) {
  area = map_huge(size_64m);
  begin();
  for (size_t at = 0; at < size_64m; at += PMD) munmap(area + at, MB);
  end();
}

void thp_rest_munmap(void) {
  begin();
  munmap(area, size_64m);
  end();
}

void thp_mremap_64m(void) {
  area = map_huge(size_64m);
  char *to = hole(size_64m);
  begin();
  char *now = mremap(area, size_64m, size_64m, MREMAP_MAYMOVE | MREMAP_FIXED, to);
  end();
  check(now == to, "mremap");
  unmap(to, size_64m);
}

void thp_mremap_unaligned_64m(void) {
  area = map_huge(size_64m);
  char *to = hole(size_64m + PMD) + PAGE;
  begin();
  char *now = mremap(area, size_64m, size_64m, MREMAP_MAYMOVE | MREMAP_FIXED, to);
  end();
  check(now == to, "mremap");
  unmap(to, size_64m);
}

void thp_free_64m(void) {
  area = map_huge(size_64m);
  begin();
  madvise(area, size_64m, MADV_FREE);
  end();
  unmap(area, size_64m);
}

void thp_fork_exit_x20(void) {
  area = map_huge(size_64m);
  fork_exit_wait(1);
  begin();
  fork_exit_wait(20);
  end();
  unmap(area, size_64m);
}

void far_touch_x16(void) {
  area = mmap(NULL, 16 * GB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
              -1, 0);
  check(area != MAP_FAILED && madvise(area, 16 * GB, MADV_NOHUGEPAGE) == 0, "mmap");
  begin();
  write_each(area, 16 * GB, GB);
  end();
}

void far_munmap(void) {
  begin();
  munmap(area, 16 * GB);
  end();
}

void far_none_fork_x20(void) {
  area = mmap(NULL, 16 * GB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
              -1, 0);
  check(area != MAP_FAILED && madvise(area, 16 * GB, MADV_NOHUGEPAGE) == 0, "mmap");
  write_each(area, 16 * GB, GB);
  fork_exit_wait(1);
  begin();
  fork_exit_wait(20);
  end();
  unmap(area, 16 * GB);
}

static const size_t many = 2000 * PAGE;

void vmas_fork_x10(void) {
  area = map_present(many);
  for (size_t at = 0; at < many; at += 2 * PAGE) unmap(area + at, PAGE);
  fork_exit_wait(1);
  begin();
  fork_exit_wait(10);
  end();
}

void vmas_munmap(void) {
  begin();
  munmap(area, many);
  end();
}

void grandchild_x50(void) {
  fork_exit_wait(1);
  begin();
  for (int k = 0; k < 50; k++) {
    const pid_t pid = fork();
    if (pid == 0) {
      fork_exit_wait(1);
      _exit(0);
    }
    waitpid(pid, NULL, 0);
  }
  end();
}

void fork_read_only_16m(void) {
  area = map_present(size_16m);
  mprotect(area, size_16m, PROT_READ);
  fork_exit_wait(1);
  begin();
  fork_exit_wait(20);
  end();
  unmap(area, size_16m);
}

void dontfork_x20(void) {
  area = map_present(size_16m);
  madvise(area, size_16m, MADV_DONTFORK);
  fork_exit_wait(1);
  begin();
  fork_exit_wait(20);
  end();
  unmap(area, size_16m);
}

void exec_64m_x5(void) {
  char *const argv[] = {KT_SELF, "--exit", NULL};
  char *const envp[] = {NULL};
  area = map_present(size_64m);
  begin();
  for (int k = 0; k < 5; k++) {
    const pid_t pid = fork();
    if (pid == 0) {
      execve(argv[0], argv, envp);
      _exit(1);
    }
    waitpid(pid, NULL, 0);
  }
  end();
  unmap(area, size_64m);
}

static struct talking_child child;

static void write_area(char order) {
  (void)order;
  write_each(area, size_16m, PAGE);
}

void shared_both_write_16m(void) {
  area = map_aligned(size_16m, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1);
  prepare_talking_child(&child);
  fork_and_wait_for_word(&child, write_area);
  order(&child, 'd');
  wait_for_word(&child);
  begin();
  order(&child, 'd');
  wait_for_word(&child);
  read_each(area, size_16m, PAGE);
  end();
  exit_and_wait(&child);
  close_talking_child(&child);
  unmap(area, size_16m);
}

void private_file_mprotect_16m(void) {
  const int fd = memfd_create("file", 0);
  check(fd >= 0 && ftruncate(fd, (off_t)size_16m) == 0, "memfd_create");
  area = map_aligned(size_16m, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd);
  close(fd);
  read_each(area, size_16m, PAGE);
  write_each(area, size_16m, 4 * PAGE);
  begin();
  mprotect(area, size_16m, PROT_READ);
  end();
  unmap(area, size_16m);
}

void shared_file_remap_16m(void) {
  area = map_aligned(size_16m, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1);
  write_each(area, size_16m, PAGE);
  char *to = hole(size_16m);
  begin();
  char *now = mremap(area, size_16m, size_16m, MREMAP_MAYMOVE | MREMAP_FIXED, to);
  end();
  check(now == to, "mremap");
  unmap(to, size_16m);
}
