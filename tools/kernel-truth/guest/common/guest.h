// SPDX-License-Identifier: MIT
// What the phases share. A phase is one function: it prepares, calls begin(), does what its text
// in phases.def says, calls end(), and tidies up. Nothing else stands between begin and end.
#pragma once
#include <stddef.h>
#include <sys/mman.h>
#include <sys/types.h>

#include "mark.h"

#define KB ((size_t)1 << 10)
#define MB ((size_t)1 << 20)
#define GB ((size_t)1 << 30)
#define PAGE (4 * KB)
#define PMD (2 * MB)  // what one page-table page maps, and the size of a huge page

static inline void begin(void) { KT_HINT(KT_BEGIN); }
static inline void end(void) { KT_HINT(KT_END); }

// Stops the machine with a message if a call failed: a phase that did not happen has no counts.
void check(int ok, const char *what);

// A fresh private anonymous mapping, 2 MB aligned, nothing mapped directly around it that was not
// there before. advice: MADV_NOHUGEPAGE, MADV_HUGEPAGE, or -1 for none.
char *map_anon(size_t size, int advice);
// The same with other flags (MAP_SHARED | MAP_ANONYMOUS) or a file.
char *map_aligned(size_t size, int prot, int flags, int fd);
void unmap(char *start, size_t size);

// One access to the first byte of every `step` bytes.
void write_each(char *start, size_t size, size_t step);
void read_each(const char *start, size_t size, size_t step);

// A fresh mapping, all pages written: of 4 KB, or of 2 MB. In each program's own text, so that they
// move nothing in the programs that do without.
static inline char *map_present(size_t size) {
  char *start = map_anon(size, MADV_NOHUGEPAGE);
  write_each(start, size, PAGE);
  return start;
}
static inline char *map_huge(size_t size) {
  char *start = map_anon(size, MADV_HUGEPAGE);
  write_each(start, size, PAGE);
  return start;
}

// A child that blocks at once in read() on a pipe, until it is released or killed.
struct blocked_child {
  pid_t pid;
  int pipe[2];
};
void prepare_child(struct blocked_child *child);     // the pipe; fork() itself is the phase's
void block(struct blocked_child *child);             // what the child does; does not return
void release_and_wait(struct blocked_child *child);  // the child exits, the parent waits for it
void close_child(struct blocked_child *child);

// fork(); the parent returns when the child has said on the pipe that it is there. Everything that
// the two do before they block is then inside the phase, whoever runs first.
struct talking_child {
  pid_t pid;
  int to_child[2], to_parent[2];
};
void prepare_talking_child(struct talking_child *child);  // the pipes
void fork_and_wait_for_word(struct talking_child *child, void (*orders)(char order));
void order(struct talking_child *child, char order);  // 'x': exit; any other: orders(order)
void wait_for_word(struct talking_child *child);
void exit_and_wait(struct talking_child *child);
void close_talking_child(struct talking_child *child);

// Writes a word to a file of /proc or /sys; returns 0 if there is no such file.
int write_setting(const char *path, const char *value);

// All phases, by their names in phases.def.
#define CHAIN(name)
#define PHASE(name, what) void name(void);
#include "phases.def"
#undef CHAIN
#undef PHASE
