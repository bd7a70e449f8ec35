// Claims about what a line of a trace does with descriptors: for how long files keep credentials.

#include <gtest/gtest.h>

#include "tests/workload/strace_fixture.h"

namespace kpksim::workload {
namespace {

using Does = kernel::DescriptorUse::Kind;

class StraceOpens : public Strace {
 protected:
  kernel::DescriptorUse last(const std::string& text) const {
    return read(text).phases.at(0).steps.back().op.call.descriptors;
  }
  std::string text_of_last(const std::string& text) const {
    const kernel::DescriptorUse use = last(text);
    return fmt::format("{} {}..{}{}", static_cast<int>(use.kind), use.first, use.second,
                       use.close_on_exec ? " goes" : "");
  }
  static std::string text(Does kind, int first, int second, bool goes = false) {
    return fmt::format("{} {}..{}{}", static_cast<int>(kind), first, second, goes ? " goes" : "");
  }
};

TEST_F(StraceOpens, AFileIsOpenedByWhatReturnsANewDescriptor) {
  for (const std::string call :
       {"openat(AT_FDCWD, \"/x\", O_RDONLY)", "socket(AF_UNIX, SOCK_STREAM, 0)",
        "accept4(5, NULL, NULL, 0)", "epoll_create1(0)", "eventfd2(0, 0)",
        "signalfd4(-1, [INT], 8, 0)", "timerfd_create(CLOCK_REALTIME, 0)", "inotify_init1(0)",
        "memfd_create(\"x\", 0)"}) {
    EXPECT_EQ(text_of_last(call + " = 7\n"), text(Does::kOpen, 7, 7)) << call;
  }
  EXPECT_EQ(text_of_last("pidfd_open(1, 0) = 7\n"), text(Does::kOpen, 7, 7, true));
  EXPECT_EQ(last("signalfd4(7, [INT], 8, 0) = 7\n").kind, Does::kNone);
  EXPECT_EQ(last("getpid() = 7\n").kind, Does::kNone);
}

TEST_F(StraceOpens, ExecClosesItIfTheCallSaysSo) {
  for (const std::string call :
       {"openat(AT_FDCWD, \"/x\", O_RDONLY|O_CLOEXEC)",
        "socket(AF_UNIX, SOCK_STREAM|SOCK_CLOEXEC, 0)", "epoll_create1(EPOLL_CLOEXEC)",
        "memfd_create(\"x\", MFD_CLOEXEC)"}) {
    EXPECT_EQ(text_of_last(call + " = 7\n"), text(Does::kOpen, 7, 7, true)) << call;
  }
}

// The others look whether they may before they have a file.
TEST_F(StraceOpens, AnOpenThatFailsHasAFileForAWhile) {
  const std::string error = " = -1 ENOENT (No such file or directory)\n";
  EXPECT_EQ(last("openat(AT_FDCWD, \"/x\", O_RDONLY)" + error).kind, Does::kFailedOpen);
  EXPECT_EQ(last("getpid() = 1\nexecve(\"/x\", [\"x\"], 0xffff /* 1 var */)" + error).kind,
            Does::kFailedOpen);
  EXPECT_EQ(last("socket(AF_UNIX, SOCK_STREAM, 0) = -1 EMFILE (Too many)\n").kind, Does::kNone);
  EXPECT_EQ(last("close(3) = -1 EBADF (Bad)\n").kind, Does::kNone);
}

TEST_F(StraceOpens, APipeAndAPairOfSocketsAreTwo) {
  EXPECT_EQ(text_of_last("pipe([3, 4]) = 0\n"), text(Does::kOpenTwo, 3, 4));
  EXPECT_EQ(text_of_last("pipe2([3<pipe:[9]>, 5<pipe:[9]>], O_CLOEXEC) = 0\n"),
            text(Does::kOpenTwo, 3, 5, true));
  EXPECT_EQ(text_of_last("socketpair(AF_UNIX, SOCK_STREAM, 0, [6, 7]) = 0\n"),
            text(Does::kOpenTwo, 6, 7));
  EXPECT_EQ(last("pipe2(0xffff, 0) = 0\n").kind, Does::kNone);
}

TEST_F(StraceOpens, ADuplicateIsTheResult_WhateverWasAskedFor) {
  EXPECT_EQ(text_of_last("dup(3) = 8\n"), text(Does::kDuplicate, 3, 8));
  EXPECT_EQ(text_of_last("dup2(3, 1) = 1\n"), text(Does::kDuplicate, 3, 1));
  EXPECT_EQ(text_of_last("dup3(3, 9, O_CLOEXEC) = 9\n"), text(Does::kDuplicate, 3, 9, true));
  EXPECT_EQ(text_of_last("fcntl(1, F_DUPFD, 10) = 11\n"), text(Does::kDuplicate, 1, 11));
  EXPECT_EQ(text_of_last("fcntl(1, F_DUPFD_CLOEXEC, 10) = 10\n"),
            text(Does::kDuplicate, 1, 10, true));
}

TEST_F(StraceOpens, ACloseIsOfOneOrOfARange_WhichMayBeForExecToDo) {
  EXPECT_EQ(text_of_last("close(3) = 0\n"), text(Does::kClose, 3, 3));
  EXPECT_EQ(text_of_last("close_range(3, 4294967295, 0) = 0\n"), text(Does::kClose, 3, 1 << 30));
  EXPECT_EQ(text_of_last("close_range(3, 9, CLOSE_RANGE_CLOEXEC) = 0\n"),
            text(Does::kMark, 3, 9, true));
  EXPECT_EQ(text_of_last("fcntl(3, F_SETFD, FD_CLOEXEC) = 0\n"), text(Does::kMark, 3, 3, true));
  EXPECT_EQ(text_of_last("fcntl(3, F_SETFD, 0) = 0\n"), text(Does::kMark, 3, 3));
  EXPECT_EQ(last("fcntl(3, F_GETFD) = 0x1 (flags FD_CLOEXEC)\n").kind, Does::kNone);
}

// The last descriptor of a file in memory that has no name is another kind of operation.
TEST_F(StraceOpens, TheLastCloseOfAFileInMemoryIsOneToo) {
  const Workload workload = read(
      "memfd_create(\"x\", 0) = 3\n"
      "ftruncate(3, 8192) = 0\n"
      "mmap(NULL, 8192, PROT_READ|PROT_WRITE, MAP_SHARED, 3, 0) = 0x7f0000000000\n"
      "close(3) = 0\n");
  const Operation& op = workload.phases.at(0).steps.back().op;
  EXPECT_EQ(op.kind, OpKind::kClose);
  EXPECT_EQ(op.call.descriptors.kind, Does::kClose);
  EXPECT_EQ(op.call.descriptors.first, 3);
}

}  // namespace
}  // namespace kpksim::workload
