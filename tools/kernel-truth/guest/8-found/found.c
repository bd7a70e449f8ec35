// SPDX-License-Identifier: MIT
// What phases that nothing was fitted to have shown the model to lack.
#define _GNU_SOURCE
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest.h"

static const size_t size_64m = 64 * MB;
static const size_t size_16m = 16 * MB;

void shared_unaligned_munmap_64m(void) {
  char *area = mmap(NULL, size_64m, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  check(area != MAP_FAILED, "mmap");
  write_each(area, size_64m, PAGE);
  begin();
  munmap(area, size_64m);
  end();
}

void private_file_write_16m(void) {
  const int file = memfd_create("file", 0);
  check(file >= 0 && ftruncate(file, (off_t)size_16m) == 0, "memfd_create");
  char *shared = map_aligned(size_16m, PROT_READ | PROT_WRITE, MAP_SHARED, file);
  write_each(shared, size_16m, PAGE);
  unmap(shared, size_16m);
  char *area = map_aligned(size_16m, PROT_READ | PROT_WRITE, MAP_PRIVATE, file);
  begin();
  write_each(area, size_16m, PAGE);
  end();
  unmap(area, size_16m);
  close(file);
}

// Every second page of a range: no two of them become one mapping.
void vmas_4000_fork_x5(void) {
  const size_t size = 4000 * 2 * PAGE;
  char *area = map_anon(size, MADV_NOHUGEPAGE);
  for (size_t at = 0; at < size; at += 2 * PAGE) unmap(area + at + PAGE, PAGE);
  write_each(area, size, 2 * PAGE);
  begin();
  for (int k = 0; k < 5; k++) {
    const pid_t pid = fork();
    if (pid == 0) _exit(0);
    waitpid(pid, NULL, 0);
  }
  end();
  unmap(area, size);
}

enum { most = 4 };

static void pass_on(int from, int to) {
  char byte;
  while (read(from, &byte, 1) == 1)
    if (write(to, &byte, 1) != 1) break;
  _exit(0);
}

// The measuring process is the first of the ring.
static void ring(int processes) {
  int pipes[most][2];
  pid_t others[most];
  char byte = 'p';
  for (int k = 0; k < processes; k++) check(pipe(pipes[k]) == 0, "pipe");
  for (int k = 1; k < processes; k++) {
    others[k] = fork();
    check(others[k] >= 0, "fork");
    if (others[k] == 0) pass_on(pipes[k - 1][0], pipes[k][1]);
  }
  for (int warm = 1; warm >= 0; warm--) {  // the first round brings the others to their loops
    if (!warm) begin();
    for (int k = 0; k < (warm ? 1 : 1000); k++) {
      check(write(pipes[0][1], &byte, 1) == 1, "write");
      check(read(pipes[processes - 1][0], &byte, 1) == 1, "read");
    }
    if (!warm) end();
  }
  for (int k = 1; k < processes; k++) {
    kill(others[k], SIGKILL);
    waitpid(others[k], NULL, 0);
  }
  for (int k = 0; k < processes; k++) {
    close(pipes[k][0]);
    close(pipes[k][1]);
  }
}

void pipe_ring_of_2_x1000(void) { ring(2); }
void pipe_ring_of_4_x1000(void) { ring(4); }
