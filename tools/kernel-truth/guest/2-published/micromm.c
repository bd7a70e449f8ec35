// SPDX-License-Identifier: MIT
// micromm's fork and munmap benchmarks: 1 GB of page-sized folios (h:0) or of 2 MB folios that are
// mapped by PTEs (h:1).
#include <sys/mman.h>
#include <unistd.h>

#include "guest.h"

static const size_t size_1g = GB;

static char *area;
static struct blocked_child child;

static char *prepare_h0(size_t size) {
  char *start = map_anon(size, MADV_NOHUGEPAGE);
  write_each(start, size, PAGE);
  return start;
}

// Huge faults; then a VMA boundary inside each 2 MB, made and removed, splits the PMD mapping but
// not the folio.
static char *prepare_h1(size_t size) {
  char *start = map_anon(size, MADV_HUGEPAGE);
  write_each(start, size, PAGE);
  for (size_t offset = 0; offset < size; offset += PMD) {
    madvise(start + offset, PAGE, MADV_DONTFORK);
    madvise(start + offset, PAGE, MADV_DOFORK);
  }
  return start;
}

static void fork_parent_side(void) {
  prepare_child(&child);
  begin();
  const pid_t pid = fork();
  if (pid == 0) block(&child);
  end();
  check(pid > 0, "fork");
  child.pid = pid;
}

static void release_child(void) {
  release_and_wait(&child);
  close_child(&child);
}

void fork_1g_h0(void) {
  area = prepare_h0(size_1g);
  fork_parent_side();
}

void munmap_1g_h0_after_fork(void) {
  release_child();
  begin();
  munmap(area, size_1g);
  end();
}

void munmap_1g_h0(void) {
  area = prepare_h0(size_1g);
  begin();
  munmap(area, size_1g);
  end();
}

void fork_1g_h1(void) {
  area = prepare_h1(size_1g);
  fork_parent_side();
  release_child();
  unmap(area, size_1g);
}

void munmap_1g_h1(void) {
  area = prepare_h1(size_1g);
  begin();
  munmap(area, size_1g);
  end();
}
