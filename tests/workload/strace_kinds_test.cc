// Claims about which kind of call a line of a trace is taken for, and so how long the kernel is at
// it.

#include <gtest/gtest.h>

#include "tests/workload/strace_fixture.h"

namespace kpksim::workload {
namespace {

using kernel::Call;
using kernel::CallKind;

class StraceKinds : public Strace {
 protected:
  // The last line's call.
  Call last(const std::string& text) const { return read(text).phases.at(0).steps.back().op.call; }
};

const std::string kOpened = "openat(AT_FDCWD, \"/etc/ld.so.cache\", O_RDONLY|O_CLOEXEC) = 3\n";

TEST_F(StraceKinds, AnOpenWalksItsPath) {
  const Call call = last(kOpened);
  EXPECT_EQ(call.kind, CallKind::kOpen);
  EXPECT_EQ(call.components, 2u);
  EXPECT_FALSE(call.absent);
}

TEST_F(StraceKinds, SetuidAndItsLikeGiveNewCredentials_UnlessTheyFail) {
  for (const std::string name : {"setuid(1000)", "setgroups(0, NULL)", "setresgid(-1, 5, -1)",
                                 "capset({version=_LINUX_CAPABILITY_VERSION_3, pid=0}, NULL)"}) {
    EXPECT_EQ(last(name + " = 0\n").kind, CallKind::kSetCred) << name;
    EXPECT_EQ(last(name + " = -1 EPERM (Operation not permitted)\n").kind, CallKind::kNull) << name;
  }
  EXPECT_EQ(last("getuid() = 0\n").kind, CallKind::kNull);
}

TEST_F(StraceKinds, WhatCallsOfManyPurposesDoToCredentialsIsInTheirArguments) {
  const auto kind = [&](const std::string& call) { return last(call + " = 0\n").kind; };
  for (const char* commits :
       {"prctl(PR_SET_KEEPCAPS, 1)", "prctl(PR_SET_SECUREBITS, SECBIT_NOROOT)",
        "prctl(PR_CAPBSET_DROP, CAP_SYS_ADMIN)",
        "prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_RAW, 0, 0)",
        "keyctl(KEYCTL_JOIN_SESSION_KEYRING, NULL)",
        "keyctl(KEYCTL_SET_REQKEY_KEYRING, KEY_REQKEY_DEFL_THREAD_KEYRING)",
        "unshare(CLONE_NEWNS|CLONE_NEWUSER)", "setns(3, CLONE_NEWUSER)"}) {
    EXPECT_EQ(kind(commits), CallKind::kSetCred) << commits;
  }
  for (const char* does_not :
       {"prctl(PR_SET_NAME, \"x\")", "prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)",
        "prctl(PR_GET_KEEPCAPS)", "prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_NET_RAW, 0, 0)",
        "keyctl(KEYCTL_READ, 5, NULL, 0)",
        "keyctl(KEYCTL_SET_REQKEY_KEYRING, KEY_REQKEY_DEFL_NO_CHANGE)", "unshare(CLONE_NEWNS)",
        "setns(3, CLONE_NEWNET)"}) {
    EXPECT_NE(kind(does_not), CallKind::kSetCred) << does_not;
  }
  EXPECT_EQ(last("prctl(PR_SET_KEEPCAPS, 1) = -1 EPERM (Operation not permitted)\n").kind,
            CallKind::kNull);
}

// setresuid() and setresgid() alone look whether there is anything to do (kernel/sys.c).
TEST_F(StraceKinds, AskingForTheIdsThatATaskHasGivesNoNewCredentials) {
  const auto makes = [&](const std::string& text) { return last(text).kind == CallKind::kSetCred; };
  const std::string root = "getuid() = 0\n";
  EXPECT_FALSE(makes(root + "setresuid(-1, 0, -1) = 0\n"));
  EXPECT_EQ(last(root + "setresuid(-1, 0, -1) = 0\n").kind, CallKind::kSmall);
  EXPECT_FALSE(makes(root + "setresuid(0, 0, 0) = 0\n"));
  EXPECT_TRUE(makes("setresuid(-1, 0, -1) = 0\n"));         // who knows
  EXPECT_TRUE(makes(root + "setresgid(-1, 0, -1) = 0\n"));  // of groups nothing is known
  EXPECT_TRUE(makes(root + "setuid(0) = 0\n"));
  EXPECT_TRUE(makes(root + "setreuid(0, 0) = 0\n"));
  EXPECT_TRUE(makes(root + "setresuid(-1, 5, -1) = 0\n"));
  const std::string other = root + "setresuid(-1, 5, -1) = 0\n";
  EXPECT_FALSE(makes(other + "setresuid(0, -1, 0) = 0\n"));
  EXPECT_FALSE(makes(other + "setresuid(-1, 5, -1) = 0\n"));
  EXPECT_TRUE(makes(other + "setresuid(-1, 0, -1) = 0\n"));
  EXPECT_FALSE(makes(root + "setuid(7) = 0\nsetresuid(7, 7, 7) = 0\n"));
  EXPECT_FALSE(makes("geteuid() = 4\nsetreuid(3, -1) = 0\nsetresuid(3, 4, 4) = 0\n"));
  EXPECT_TRUE(makes(root + "setfsuid(5) = 0\nsetresuid(-1, 0, -1) = 0\n"));
  EXPECT_FALSE(makes(root + "getgid() = 6\nsetresgid(6, -1, -1) = 0\n"));
  // A child is what its parent was; a failed call changes nothing.
  EXPECT_FALSE(makes("10 getuid() = 1\n10 fork() = 11\n11 setresuid(-1, 1, -1) = 0\n"));
  EXPECT_FALSE(makes(root + "setuid(9) = -1 EPERM (Operation not permitted)\n" +
                     "setresuid(-1, 0, -1) = 0\n"));
}

TEST_F(StraceKinds, WhatFailsIsALookUp) {
  const Call absent = last("openat(AT_FDCWD, \"a//b/c\", O_RDONLY) = -1 ENOENT (No such file)\n");
  EXPECT_EQ(absent.kind, CallKind::kLookup);
  EXPECT_EQ(absent.components, 3u);
  EXPECT_TRUE(absent.absent);
  const Call no_link = last("readlinkat(AT_FDCWD, \"/usr\", 0xffff, 1023) = -1 EINVAL (Invalid)\n");
  EXPECT_EQ(no_link.kind, CallKind::kLookup);
  EXPECT_FALSE(no_link.absent);
}

TEST_F(StraceKinds, ACallWithAPathThatNoTableHasIsALookUp) {
  EXPECT_EQ(last("faccessat(AT_FDCWD, \"/bin/sh\", X_OK) = 0\n").kind, CallKind::kLookup);
  EXPECT_EQ(last("getpid() = 7\n").kind, CallKind::kNull);
}

TEST_F(StraceKinds, StatOfADescriptorWalksNothing) {
  const Call call = last("newfstatat(3, \"\", {st_mode=S_IFREG|0644, ...}, AT_EMPTY_PATH) = 0\n");
  EXPECT_EQ(call.kind, CallKind::kStat);
  EXPECT_EQ(call.components, 0u);
}

TEST_F(StraceKinds, ReadsAndWritesSayWhichFileAndWhere) {
  const std::string open = "openat(AT_FDCWD, \"/x\", O_RDWR) = 3\n";
  const std::string read = "read(3, \"\"..., 6000) = 6000\n";
  const Call first = last(open + read), second = last(open + read + read);
  EXPECT_NE(first.file, 0u);
  EXPECT_EQ(first.offset, 0u);
  EXPECT_EQ(second.file, first.file);
  EXPECT_EQ(second.offset, 6000u);
  EXPECT_EQ(last(open + read + "write(3, \"\"..., 10) = 10\n").offset, 6000u);
  EXPECT_EQ(last(open + read + "lseek(3, 64, SEEK_SET) = 64\n" + read).offset, 64u);
  EXPECT_EQ(last(open + "pread64(3, \"\"..., 10, 8192) = 10\n").offset, 8192u);
  const Call other =
      last(open + "openat(AT_FDCWD, \"/y\", O_RDONLY) = 4\n" + "read(4, \"\"..., 10) = 10\n");
  EXPECT_NE(other.file, first.file);
  EXPECT_EQ(last("openat(AT_FDCWD, \"/proc/self/maps\", O_RDONLY) = 3\n" + read).file,
            kernel::kNoCachedFile);
}

TEST_F(StraceKinds, WritesBehindAFilesEndMakePages) {
  const std::string open = "openat(AT_FDCWD, \"/x\", O_WRONLY|O_CREAT|O_TRUNC, 0644) = 3\n";
  const std::string write = "write(3, \"\"..., 6000) = 6000\n";
  EXPECT_EQ(last(open + write).new_pages, 2u);
  EXPECT_EQ(last(open + write + write).new_pages, 1u);  // 12,000 bytes are three pages
  EXPECT_EQ(last(open + "dup2(3, 1) = 1\nwrite(1, \"\"..., 6000) = 6000\n").new_pages, 2u);
  EXPECT_EQ(last(kOpened + write).new_pages, 0u);
  // At an offset only what lies behind the end.
  const std::string at = "pwrite64(3, \"\"..., 4096, 4096) = 4096\n";
  EXPECT_EQ(last(open + at).new_pages, 1u);
  EXPECT_EQ(last(open + at + at).new_pages, 0u);
  // A file that was not there, or is emptied, has no pages.
  const std::string create = "openat(AT_FDCWD, \"/x\", O_RDWR|O_CREAT, 0644) = 3\n";
  EXPECT_EQ(last(create + write).new_pages, 0u);
  EXPECT_EQ(last("access(\"/x\", F_OK) = -1 ENOENT (No)\n" + create + write).new_pages, 2u);
  EXPECT_EQ(last(create + "ftruncate(3, 0) = 0\n" + write).new_pages, 2u);
  const std::string first = "pwrite64(3, \"\"..., 4096, 0) = 4096\n";
  EXPECT_EQ(last(open + write + first).new_pages, 0u);
  EXPECT_EQ(last(open + write + "ftruncate(3, 0) = 0\n" + first).new_pages, 1u);
  const Call copy = last(open + "openat(AT_FDCWD, \"/y\", O_RDONLY) = 4\n" +
                         "copy_file_range(4, NULL, 3, NULL, 8192, 0) = 5000\n");
  EXPECT_EQ(copy.kind, CallKind::kWrite);
  EXPECT_EQ(copy.new_pages, 2u);
  EXPECT_EQ(last("openat(AT_FDCWD, \"/dev/null\", O_WRONLY|O_TRUNC) = 3\n" + write).new_pages, 0u);
}

TEST_F(StraceKinds, ReadsOfAnOpenedFileAreOfAFile_OthersOfAPipe) {
  const Call file = last(kOpened + "read(3, \"\"..., 8192) = 5000\n");
  EXPECT_EQ(file.kind, CallKind::kRead);
  EXPECT_EQ(file.bytes, 5000u);
  const Call pipe = last(kOpened + "read(4, \"\"..., 8192) = 12\n");
  EXPECT_EQ(pipe.kind, CallKind::kPipeData);
  EXPECT_EQ(pipe.bytes, 12u);
  EXPECT_EQ(last("write(5</var/log/x>, \"\"..., 10) = 10\n").kind, CallKind::kWrite);
  EXPECT_EQ(last("write(5<socket:[77]>, \"\"..., 10) = 10\n").kind, CallKind::kSocketData);
}

TEST_F(StraceKinds, AFailedReadMovesNothing) {
  EXPECT_EQ(last("read(4, 0xffff, 10) = -1 EAGAIN (Resource temporarily unavailable)\n").bytes, 0u);
}

}  // namespace
}  // namespace kpksim::workload
