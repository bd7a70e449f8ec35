// SPDX-License-Identifier: MIT
// System calls that change no memory mapping, one kind in each phase, as often as makes their
// interrupts small. The files lie in the initramfs, in memory.
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "guest.h"

enum { TIMES = 1000, TIMES_64K = 100 };

static const char *const file = "/kt-file";
static const char *const deep = "/kt-a/kt-b/kt-c/kt-d/kt-file";
static const char *const absent = "/kt-none";
static char buffer[64 * KB];
static int fd, ends[2];

// What a phase needs: the files, and no page of its own that is touched for the first time.
static void prepare_file(const char *path) {
  fd = open(path, O_RDWR | O_CREAT, 0644);
  check(fd >= 0, path);
  write_each(buffer, sizeof buffer, PAGE);
  check(pwrite(fd, buffer, sizeof buffer, 0) == (ssize_t)sizeof buffer, "write");
}

static void stats(const char *path) {
  static struct stat status;
  syscall(SYS_newfstatat, AT_FDCWD, path, &status, 0);
  begin();
  for (int k = 0; k < TIMES; k++) syscall(SYS_newfstatat, AT_FDCWD, path, &status, 0);
  end();
}

void stat_x1000(void) {
  prepare_file(file);
  close(fd);
  stats(file);
}

void stat_deep_x1000(void) {
  static const char *const folders[] = {"/kt-a", "/kt-a/kt-b", "/kt-a/kt-b/kt-c",
                                        "/kt-a/kt-b/kt-c/kt-d"};
  for (int k = 0; k < 4; k++) mkdir(folders[k], 0755);
  prepare_file(deep);
  close(fd);
  stats(deep);
}

void stat_absent_x1000(void) { stats(absent); }

void readlink_x1000(void) {
  readlinkat(AT_FDCWD, file, buffer, PAGE);
  begin();
  for (int k = 0; k < TIMES; k++) readlinkat(AT_FDCWD, file, buffer, PAGE);
  end();
}

void open_close_x1000(void) {
  close(open(file, O_RDONLY));
  begin();
  for (int k = 0; k < TIMES; k++) close(open(file, O_RDONLY));
  end();
}

void fstat_x1000(void) {
  static struct stat status;
  prepare_file(file);
  syscall(SYS_fstat, fd, &status);
  begin();
  for (int k = 0; k < TIMES; k++) syscall(SYS_fstat, fd, &status);
  end();
  close(fd);
}

static void move_data(int times, size_t size, ssize_t (*call)(size_t)) {
  prepare_file(file);
  check(call(size) == (ssize_t)size, "read or write");
  begin();
  for (int k = 0; k < times; k++) call(size);
  end();
  close(fd);
}

static ssize_t reads(size_t size) { return pread(fd, buffer, size, 0); }
static ssize_t writes(size_t size) { return pwrite(fd, buffer, size, 0); }

void read_1_x1000(void) { move_data(TIMES, 1, reads); }
void read_4k_x1000(void) { move_data(TIMES, PAGE, reads); }
void read_64k_x100(void) { move_data(TIMES_64K, sizeof buffer, reads); }
void write_1_x1000(void) { move_data(TIMES, 1, writes); }
void write_4k_x1000(void) { move_data(TIMES, PAGE, writes); }
void write_64k_x100(void) { move_data(TIMES_64K, sizeof buffer, writes); }

// To the one end and back from the other.
static void through(int times, size_t size) {
  for (int k = 0; k < times; k++) {
    if (write(ends[1], buffer, size) != (ssize_t)size) return;
    if (read(ends[0], buffer, size) != (ssize_t)size) return;
  }
}

static void send_data(int times, size_t size) {
  write_each(buffer, sizeof buffer, PAGE);
  through(1, size);
  begin();
  through(times, size);
  end();
}

static void close_ends(void) {
  close(ends[0]);
  close(ends[1]);
}

void pipe_1_x1000(void) {
  check(pipe(ends) == 0, "pipe");
  send_data(TIMES, 1);
  close_ends();
}

void pipe_4k_x1000(void) {
  check(pipe(ends) == 0, "pipe");
  send_data(TIMES, PAGE);
  close_ends();
}

void pipe_64k_x100(void) {
  check(pipe(ends) == 0, "pipe");
  send_data(TIMES_64K, sizeof buffer);
  close_ends();
}

void pipe_close_x1000(void) {
  check(pipe(ends) == 0, "pipe");
  close_ends();
  begin();
  for (int k = 0; k < TIMES; k++) {
    if (pipe(ends) != 0) break;
    close_ends();
  }
  end();
}

void socket_1_x1000(void) {
  check(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0, "socketpair");
  send_data(TIMES, 1);
  close_ends();
}

void socket_4k_x1000(void) {
  check(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0, "socketpair");
  send_data(TIMES, PAGE);
  close_ends();
}

void poll_pipe_x1000(void) {
  check(pipe(ends) == 0 && write(ends[1], buffer, 1) == 1, "pipe");
  struct pollfd waits = {.fd = ends[0], .events = POLLIN};
  syscall(SYS_ppoll, &waits, 1, NULL, NULL, 0);
  begin();
  for (int k = 0; k < TIMES; k++) syscall(SYS_ppoll, &waits, 1, NULL, NULL, 0);
  end();
  close_ends();
}

static void handler(int number) { (void)number; }

void sigaction_x1000(void) {
  struct sigaction action = {.sa_handler = handler}, old;
  sigaction(SIGUSR1, &action, &old);
  begin();
  for (int k = 0; k < TIMES; k++) sigaction(SIGUSR1, &action, &old);
  end();
}

void sigprocmask_x1000(void) {
  sigset_t set, old;
  sigemptyset(&set);
  sigprocmask(SIG_SETMASK, &set, &old);
  begin();
  for (int k = 0; k < TIMES; k++) sigprocmask(SIG_SETMASK, &set, &old);
  end();
}

void signal_x1000(void) {
  struct sigaction action = {.sa_handler = handler};
  sigaction(SIGUSR1, &action, NULL);
  const pid_t self = getpid();
  kill(self, SIGUSR1);
  begin();
  for (int k = 0; k < TIMES; k++) kill(self, SIGUSR1);
  end();
}

void dup_close_x1000(void) {
  close(dup(1));
  begin();
  for (int k = 0; k < TIMES; k++) close(dup(1));
  end();
}
