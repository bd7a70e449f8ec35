// Claims about the strace reader: every spelling, what each call means, and what is refused.

#include <zlib.h>
#include <zstd.h>

#include "tests/workload/strace_fixture.h"

namespace kpksim::workload {
namespace {

// --- Spellings of a line ---

TEST_F(Strace, EveryPrefixAndSuffixMeansTheSame) {
  for (const char* prefix :
       {"12 ", "12    ", "[pid 12] ", "[pid    12] ", "12 10:00:01 ", "12 10:00:01.123456 ",
        "[pid 12] 10:00:01.123456 ", "12 1700000000.123456 ", "12    39.397281 ", "12 1700000000 ",
        "12      0.000123 ", "12 10:00:01 (+     0.000123) ", "12<sh> ", "[pid 12<a b>] ",
        "12 [00007f1234567890] ", "12 [????????????????] ", "12 [   9] "}) {
    for (const char* end : {"\n", "\r\n", " <0.000012>\n"}) {
      const std::string p = prefix;
      const std::string text = p + "execve(\"/bin/x\", [\"x\"], 0x7ffd /* 2 vars */) = 0" + end +
                               p + kMmap.substr(0, kMmap.size() - 1) + end + p +
                               "+++ exited with 0 +++\n";
      EXPECT_EQ(ops(text),
                (Texts{"spawn 12", "exec 12", "mmap 12 0x7f0000000000+0x2000 rw", "exit 12"}))
          << text;
      EXPECT_TRUE(read(text).not_understood.empty()) << text;
    }
  }
}

TEST_F(Strace, LinesWithoutPidAreOneTask) {
  for (const char* prefix :
       {"", "10:00:01 ", "1700000000.123456 ", "1700000000 ", "     0.000123 "}) {
    const std::string p = prefix;
    EXPECT_EQ(ops(p + kMmap + p + "+++ exited with 0 +++\n"),
              (Texts{"spawn 1", "mmap 1 0x7f0000000000+0x2000 rw", "exit 1"}))
        << prefix;
  }
}

TEST_F(Strace, ATaskGetsItsPidWhenASecondOneComesAndLosesItAgain) {
  EXPECT_EQ(ops("execve(\"/bin/x\", [], 0x1) = 0\n"
                "clone(child_stack=NULL, flags=SIGCHLD) = 21\n"
                "strace: Process 21 attached\n"
                "[pid 20] " +
                kMmap +
                "[pid 21] exit_group(0) = ?\n"
                "[pid 21] +++ exited with 0 +++\n"
                "munmap(0x7f0000000000, 8192) = 0\n"
                "+++ exited with 0 +++\n"),
            (Texts{"spawn 20", "exec 20", "fork 20 21", "mmap 20 0x7f0000000000+0x2000 rw",
                   "exit 21", "munmap 20 0x7f0000000000+0x2000", "exit 20"}));
}

TEST_F(Strace, AnUnfinishedAndItsResumedHalfAreOneCall) {
  const std::string text =
      "7 munmap(0x7f0000000000,  <unfinished ...>\n"
      "8 getpid( <unfinished ...>\n"
      "7 <... munmap resumed>4096)    = 0\n"
      "8 <... getpid resumed>) = 8\n";
  EXPECT_EQ(ops(text), (Texts{"spawn 7", "spawn 8", "munmap 7 0x7f0000000000+0x1000"}));
  EXPECT_EQ(calls(text), 1u);
}

TEST_F(Strace, ANoteOnTheTerminalMayCutACallInTwo) {
  const std::string text =
      "getpid() = 5\nclone(child_stack=NULL, flags=SIGCHLDstrace: Process 6 attached\n"
      " <unfinished ...>\n[pid 6] getpid() = 6\n[pid 5] <... clone resumed>) = 6\n";
  EXPECT_EQ(ops(text), (Texts{"spawn 5", "fork 5 6"}));
  EXPECT_TRUE(read(text).not_understood.empty());
}

TEST_F(Strace, ACallThatATaskDiesInIsUnderstood) {
  const Workload w = read(
      "7 pause( <unfinished ...>) = ?\n7 read(0, <unfinished ...>\n"
      "7 <... read resumed> <unfinished ...>) = ?\n"
      "7 +++ killed by SIGKILL (core dumped) +++\n");
  EXPECT_TRUE(w.not_understood.empty());
  EXPECT_EQ(w.phases[0].steps.back().op.kind, OpKind::kExit);
}

TEST_F(Strace, PathsOfDescriptorsMayHoldCommasBracketsAndArrows) {
  EXPECT_EQ(
      ops("7 openat(AT_FDCWD</tmp/a, (b>, \"l.so\", O_RDONLY) = 3</tmp/a, (b/l.so>\n"
          "7 mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, 3</tmp/a, (b/l.so>, 0) = 0x7f0000000000\n"
          "7 sendto(4<TCP:[127.0.0.1:5->127.0.0.1:6]>, \"a)\\\",\", 4, 0, NULL, 0) = 4\n"
          "7 capget({pid=0}, {effective=1<<CAP_CHOWN|1<<CAP_KILL, permitted=0}) = 0\n"
          "7 munmap(0x7f0000000000, 4096) = 0\n"),
      (Texts{"spawn 7", "mmap 7 0x7f0000000000+0x1000 r file 1",
             "munmap 7 0x7f0000000000+0x1000"}));
}

TEST_F(Strace, StacksSignalsAndNotesAreNoCalls) {
  const Workload w = read(
      "strace: Process 7 attached\n7 getpid() = 7\n"
      " > /lib/libc.so.6(getpid+0x7) [0xe5a67]\n"
      "7 --- SIGCHLD {si_signo=SIGCHLD, si_pid=9} ---\n"
      "7 --- stopped by SIGSTOP ---\n\n# a remark\n");
  EXPECT_TRUE(w.not_understood.empty());
  EXPECT_EQ(w.phases[0].steps.size(), 2u);  // spawn and one call
}

// --- Tasks ---

TEST_F(Strace, CloneFlagsTellForkVforkAndThread) {
  EXPECT_EQ(ops("5 fork() = 6\n"
                "5 vfork( <unfinished ...>\n5 <... vfork resumed>) = 7\n"
                "5 clone(child_stack=NULL, flags=CLONE_CHILD_CLEARTID|CLONE_CHILD_SETTID|SIGCHLD, "
                "child_tidptr=0x7f) = 8\n"
                "5 clone(child_stack=0x7f0000001000, flags=CLONE_VM|CLONE_VFORK|SIGCHLD) = 9\n"
                "5 clone3({flags=CLONE_VM|CLONE_VFORK, exit_signal=SIGCHLD, stack=0x7f0000000000, "
                "stack_size=0x9000}, 88) = 10\n"
                "5 clone3({flags=CLONE_VM|CLONE_FS|CLONE_FILES|CLONE_SIGHAND|CLONE_THREAD, "
                "exit_signal=0, "
                "stack=0x7f0000000000, stack_size=0x7ff480} => {parent_tid=[11]}, 88) = 11\n"
                "5 clone3({flags=0, exit_signal=SIGCHLD}, 88) = -1 EAGAIN (Resource unavailable)\n"
                "5 clone(child_stack=NULL, flags=SIGCHLD) = ? ERESTARTNOINTR (To be restarted)\n"),
            (Texts{"spawn 5", "fork 5 6", "vfork 5 7", "fork 5 8", "vfork 5 9", "vfork 5 10",
                   "thread 5 11"}));
}

TEST_F(Strace, AChildSeenBeforeItsCallReturnsBelongsToTheCallThatReturnsIt) {
  EXPECT_EQ(ops("5 getpid() = 5\n9 getpid() = 9\n"
                "9 clone(child_stack=NULL, flags=SIGCHLD <unfinished ...>\n"
                "5 clone(child_stack=NULL, flags=CLONE_VM|CLONE_THREAD <unfinished ...>\n"
                "6 getpid() = 6\n"
                "7 getpid() = 7\n"
                "9 <... clone resumed>, child_tidptr=0x7f) = 7\n"
                "5 <... clone resumed>, parent_tid=[6]) = 6\n"),
            (Texts{"spawn 5", "spawn 9", "thread 5 6", "fork 9 7"}));
}

TEST_F(Strace, AChildWhoseCallNeverReturnsBelongsToTheOldestCall) {
  EXPECT_EQ(ops("9 getpid() = 9\n5 getpid() = 5\n"
                "9 clone(child_stack=NULL, flags=SIGCHLD <unfinished ...>\n"
                "5 vfork( <unfinished ...>\n"
                "6 getpid() = 6\n7 getpid() = 7\n"),
            (Texts{"spawn 9", "spawn 5", "fork 9 6", "vfork 5 7"}));
}

TEST_F(Strace, ARecordingOfARunningProcessStartsWithoutExec) {
  EXPECT_EQ(ops("5 <... read resumed>\"\", 10) = 0\n5 " + kMmap),
            (Texts{"spawn 5", "mmap 5 0x7f0000000000+0x2000 rw"}));
}

TEST_F(Strace, ExecThatFailsAndThenSucceedsIsOneExec) {
  EXPECT_EQ(ops("5 execve(\"/a/x\", [\"x\"], 0x1) = -1 ENOENT (No such file or directory)\n"
                "5 execve(\"/b/x\", [\"x\"], 0x1 <unfinished ...>\n5 <... execve resumed>) = 0\n"
                "5 brk(NULL) = 0x555555580000\n"),
            (Texts{"spawn 5", "exec 5"}));
}

TEST_F(Strace, ExitGroupEndsEveryThreadOfTheGroupAndNoOther) {
  EXPECT_EQ(
      ops("5 clone(child_stack=0, flags=SIGCHLD) = 4\n"
          "5 clone(child_stack=0, flags=CLONE_VM|CLONE_THREAD) = 6\n"
          "6 clone(child_stack=0, flags=CLONE_VM|CLONE_THREAD) = 7\n"
          "6 futex(0x7f, FUTEX_WAIT, 1, NULL <unfinished ...>\n"
          "7 exit_group(0) = ?\n"
          "6 <... futex resumed>) = ?\n"
          "5 +++ exited with 0 +++\n6 +++ exited with 0 +++\n7 +++ exited with 0 +++\n"
          "4 getpid() = 4\n"),
      (Texts{"spawn 5", "fork 5 4", "thread 5 6", "thread 6 7", "exit 5", "exit 6", "exit 7"}));
}

TEST_F(Strace, ExitOfOneThreadLeavesTheOthers) {
  EXPECT_EQ(ops("5 clone(child_stack=0, flags=CLONE_VM|CLONE_THREAD) = 6\n"
                "5 exit(0) = ?\n5 +++ exited with 0 +++\n6 " +
                kMmap),
            (Texts{"spawn 5", "thread 5 6", "exit 5", "mmap 6 0x7f0000000000+0x2000 rw"}));
}

TEST_F(Strace, ExecEndsTheOtherThreads) {
  EXPECT_EQ(ops("5 clone(child_stack=0, flags=CLONE_VM|CLONE_THREAD) = 6\n"
                "5 clone(child_stack=0, flags=CLONE_VM|CLONE_THREAD) = 7\n"
                "6 execve(\"/b/x\", [], 0x1 <unfinished ...>\n"
                "7 +++ exited with 0 +++\n"
                "5 +++ superseded by execve in pid 6 +++\n"
                "5 <... execve resumed>) = 0\n5 " +
                kMmap),
            (Texts{"spawn 5", "thread 5 6", "thread 5 7", "exit 7", "exit 6", "exec 5",
                   "mmap 5 0x7f0000000000+0x2000 rw"}));
}

TEST_F(Strace, AWordOfADeadTaskIsIgnored) {
  EXPECT_EQ(ops("5 getpid() = 5\n6 getpid() = 6\n6 wait4(-1,  <unfinished ...>\n"
                "6 +++ killed by SIGKILL +++\n6 <... wait4 resumed>NULL, 0, NULL) = 5\n"),
            (Texts{"spawn 5", "spawn 6", "exit 6"}));
}

TEST_F(Strace, APidIsUsedAgain) {
  EXPECT_EQ(ops("5 fork() = 6\n6 exit_group(0) = ?\n6 +++ exited with 0 +++\n"
                "5 wait4(-1, [{WIFEXITED(s) && WEXITSTATUS(s) == 0}], 0, NULL) = 6\n"
                "5 fork( <unfinished ...>\n6 " +
                kMmap +
                "5 <... fork resumed>) = 6\n"
                "5 fork() = 6\n"),  // its end was not recorded
            (Texts{"spawn 5", "fork 5 6", "exit 6", "wait 5 6", "fork 5 6",
                   "mmap 6 0x7f0000000000+0x2000 rw", "exit 6", "fork 5 6"}));
}

TEST_F(Strace, WaitReapsTheDeadOnly) {
  EXPECT_EQ(ops("5 fork() = 6\n5 fork() = 7\n5 fork() = 8\n"
                "5 wait4(-1, [{WIFSTOPPED(s) && WSTOPSIG(s) == SIGTSTP}], WSTOPPED, NULL) = 6\n"
                "5 wait4(-1, 0x7f, WNOHANG, NULL) = 0\n"
                "5 wait4(-1, 0x7f, 0, NULL) = -1 ECHILD (No child processes)\n"
                "6 +++ exited with 1 +++\n"
                "5 waitid(P_ALL, 0, {si_signo=SIGCHLD, si_code=CLD_EXITED, si_pid=6, si_uid=0}, "
                "WEXITED, NULL) = 0\n"
                "5 wait4(7, [{WIFSIGNALED(s) && WTERMSIG(s) == SIGKILL}], 0, NULL) = 7\n"),
            (Texts{"spawn 5", "fork 5 6", "fork 5 7", "fork 5 8", "exit 6", "wait 5 6", "exit 7",
                   "wait 5 7"}));
}

// Linux lets nobody wait for a thread of its own process: the number means another task by now.
TEST_F(Strace, WaitForAThreadOfTheOwnProcessEndsNobody) {
  EXPECT_EQ(ops("5 clone(child_stack=0x7f0000002000, flags=CLONE_VM|CLONE_FILES|CLONE_THREAD) = 6\n"
                "5 wait4(-1, [{WIFEXITED(s) && WEXITSTATUS(s) == 0}], 0, NULL) = 6\n"
                "5 fork() = 7\n"),
            (Texts{"spawn 5", "thread 5 6", "fork 5 7"}));
}

// --- Memory and files ---

TEST_F(Strace, MemoryCallsAreTakenWithTheirResults) {
  EXPECT_EQ(
      ops("5 " + kMmap +
          "5 mmap(NULL, 4096, PROT_READ, MAP_SHARED|MAP_ANONYMOUS, -1, 0) = 0x7f1000000000\n"
          "5 mmap(NULL, 1, PROT_NONE, MAP_PRIVATE|MAP_ANON, -1, 0) = -1 ENOMEM (Cannot)\n"
          "5 mremap(0x7f0000000000, 8192, 16384, MREMAP_MAYMOVE) = 0x7f2000000000\n"
          "5 mprotect(0x7f2000000000, 4096, PROT_READ|PROT_EXEC) = 0\n"
          "5 madvise(0x7f2000000000, 4096, MADV_DONTNEED) = 0\n"
          "5 madvise(0x7f2000000000, 4096, 0x19 /* MADV_??? */) = -1 EINVAL (Invalid)\n"
          "5 munmap(0x7f2000000000, 16384) = 0\n"),
      (Texts{"spawn 5", "mmap 5 0x7f0000000000+0x2000 rw", "mmap 5 0x7f1000000000+0x1000 r shared",
             "mremap 5 0x7f0000000000+0x2000 0x7f2000000000+0x4000",
             "mprotect 5 0x7f2000000000+0x1000 5", "madvise 5 0x7f2000000000+0x1000 dontneed",
             "munmap 5 0x7f2000000000+0x4000"}));
}

TEST_F(Strace, BrkMapsAndUnmapsWhereTheProgramHadItsHeap) {
  EXPECT_EQ(ops("5 brk(NULL) = 0x3115c000\n5 brk(0x3117d000) = 0x3117d000\n"
                "5 brk(0x3119f000) = 0x3117d000\n5 brk(0x31160000) = 0x31160000\n"
                "5 brk(NULL) = 0x51160000\n"),
            (Texts{"spawn 5", "mmap 5 0x3115c000+0x21000 rw", "munmap 5 0x31160000+0x1d000"}));
}

TEST_F(Strace, SystemVSegmentsAreSharedMappings) {
  EXPECT_EQ(ops("5 shmget(IPC_PRIVATE, 5000, IPC_CREAT|0600) = 17\n"
                "5 shmat(17, NULL, 0) = 0x7f0000000000\n5 shmdt(0x7f0000000000) = 0\n"),
            (Texts{"spawn 5", "mmap 5 0x7f0000000000+0x2000 rw shared file 1",
                   "munmap 5 0x7f0000000000+0x2000"}));
}

// Which file the last mapping of a trace is of.
std::string mapping(int descriptor) {
  return fmt::format("5 mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, {}, 0) = 0x7f0000000000\n",
                     descriptor);
}

TEST_F(Strace, DescriptorsAreFollowedToTheirFiles) {
  const std::string two =
      "5 openat(AT_FDCWD, \"/a\", O_RDONLY|O_CLOEXEC) = 3\n5 open(\"/b\", O_RDONLY) = 4\n" +
      mapping(3) + mapping(4);  // files 1 and 2
  const auto last = [&](const std::string& more) { return ops(two + more).back(); };
  const std::string a = "mmap 5 0x7f0000000000+0x1000 r file 1",
                    b = "mmap 5 0x7f0000000000+0x1000 r file 2",
                    unknown = "mmap 5 0x7f0000000000+0x1000 r file 3";
  EXPECT_EQ(last("5 dup(3) = 7\n" + mapping(7)), a);
  EXPECT_EQ(last("5 dup2(3, 4) = 4\n" + mapping(4)), a);
  EXPECT_EQ(last("5 fcntl(4, F_DUPFD_CLOEXEC, 10) = 10\n5 close(4) = 0\n" + mapping(10)), b);
  EXPECT_EQ(last("5 close(3) = 0\n5 openat(AT_FDCWD, \"/b\", O_RDONLY) = 3\n" + mapping(3)), b);
  EXPECT_EQ(last("5 close(3) = 0\n" + mapping(3)), unknown);
  EXPECT_EQ(last("5 close_range(3, 4294967295, 0) = 0\n" + mapping(4)), unknown);
  const std::string exec = "5 execve(\"/x\", [], 0x1) = 0\n";
  EXPECT_EQ(last(exec + mapping(4)), b);
  EXPECT_EQ(last(exec + mapping(3)), unknown);  // O_CLOEXEC
  EXPECT_EQ(last("5 fcntl(3, F_SETFD, 0) = 0\n" + exec + mapping(3)), a);
  EXPECT_EQ(last("5 fcntl(4, F_SETFD, FD_CLOEXEC) = 0\n" + exec + mapping(4)), unknown);
  EXPECT_EQ(last("5 dup3(4, 8, O_CLOEXEC) = 8\n" + exec + mapping(8)), unknown);
}

TEST_F(Strace, ThreadsShareTheirFilesAndForksCopyThem) {
  const auto last = [&](const char* flags) {
    return ops(fmt::format("5 open(\"/a\", O_RDONLY) = 3\n{}"
                           "5 clone(child_stack=0, flags={}) = 6\n6 close(3) = 0\n{}",
                           mapping(3), flags, mapping(3)))
        .back();
  };
  EXPECT_EQ(last("SIGCHLD"), "mmap 5 0x7f0000000000+0x1000 r file 1");
  EXPECT_EQ(last("CLONE_VM|CLONE_FILES|CLONE_THREAD"), "mmap 5 0x7f0000000000+0x1000 r file 2");
}

// --- What is not understood ---

TEST_F(Strace, WhatIsNotUnderstoodIsCountedByAFewKinds) {
  std::string text;
  for (int i = 0; i < 200; ++i) text += fmt::format("{} getpid() = 5\n", 5);
  for (int i = 0; i < 9; ++i) text += fmt::format("hello {}\n5 read(3, \"{}\n", i, i);
  text +=
      "5 <... mmap resumed>) = 0x7f0000000000\n5 munmap(0xfffffffffffff000, 8192) = 0\n"
      "5 shmat(99, NULL, 0) = 0x7f0000000000\n5 munmap(what, 1) = 0\n5 fork() = 5\n# program "
      "\"/a\" text=1\n";
  const auto kinds = read(text).not_understood;
  using Kinds = std::vector<std::pair<std::string, std::uint64_t>>;
  EXPECT_EQ(kinds, (Kinds{{"'# program' line without its sizes", 1},
                          {"call whose beginning is missing", 1},
                          {"call without its end", 9},
                          {"memory call beyond 48-bit addresses", 1},
                          {"memory call with unknown arguments", 1},
                          {"new task without a number of its own", 1},
                          {"shared memory of unknown size", 1},
                          {"text that is not strace's", 9}}));
}

TEST_F(Strace, AWrongFormatIsOneClearError) {
  const std::string expected =
      "; expected the output of strace -f, lines like '118 mmap(NULL, "
      "8192, ...) = 0x7f...'";
  EXPECT_EQ(error_of(std::string("\x7f"
                                 "ELF\0\0",
                                 6)),
            ":1: binary data (a zero byte at byte 4)" + expected);
  EXPECT_EQ(error_of("\n{\"name\": \"x\"}\n"),
            ":1: JSON" + expected + " (a JSON workload's name ends in .json)");
  EXPECT_EQ(error_of("[\n  {\"op\": 1}]"),
            ":1: JSON" + expected + " (a JSON workload's name ends in .json)");
  EXPECT_EQ(error_of("5 mmap(NULL, 8192, 0x3, 0x22, -1, 0) = 0x7f0000000000\n"),
            ":1: flags as numbers ('0x3'); expected names, record without -X raw");
  EXPECT_EQ(error_of(" \n\n"), ":1: no line" + expected);
  EXPECT_EQ(error_of("5 getpid() = 5\na;b;c\n1;2;3\n"),
            ":2: not strace's output (2 of the first 3 lines)" + expected);
  EXPECT_EQ(error_of(""), ": is empty; expected text, plain, gzip or zstd");
  EXPECT_EQ(error_of("\xfd"
                     "7zXZ..."),
            ": byte 0: xz data; expected text, plain or compressed with gzip or zstd");
}

TEST_F(Strace, AFileThatCannotBeReadSaysWhy) {
  EXPECT_THROW(read_strace("/no/such/file"), InputError);
  std::filesystem::create_directory(path_);
  EXPECT_THROW(read_strace(path_.string()), InputError);
}

std::string zstd_of(const std::string& text) {
  std::string out(ZSTD_compressBound(text.size()), '\0');
  out.resize(ZSTD_compress(out.data(), out.size(), text.data(), text.size(), 3));
  return out;
}

std::string long_trace() {
  std::string text;
  for (int i = 0; i < 20000; ++i) text += fmt::format("5 {}.{} getpid() = {}\n", i, i * 7919, i);
  return text;
}

TEST_F(Strace, CompressedTextIsReadAndItsDefectsAreNamedByByte) {
  const std::string whole = zstd_of(long_trace());
  EXPECT_EQ(read(whole).phases[0].steps.size(), 20001u);
  EXPECT_EQ(read(whole + zstd_of("5 getpid() = 5\n")).phases[0].steps.size(), 20002u);
  EXPECT_EQ(error_of(whole.substr(0, whole.size() / 2)),
            fmt::format(": byte {}: truncated zstd data; expected the rest of the frame",
                        whole.size() / 2));
  EXPECT_TRUE(error_of(whole + "junk junk junk")
                  .starts_with(fmt::format(": byte {}: corrupt zstd data (", whole.size())));
  const gzFile file = gzopen(path_.c_str(), "wb");
  gzputs(file, long_trace().c_str());
  gzclose(file);
  EXPECT_EQ(read_strace(path_.string(), silent()).phases[0].steps.size(), 20001u);
  const auto size = std::filesystem::file_size(path_);
  std::filesystem::resize_file(path_, size / 2);
  try {
    read_strace(path_.string());
    FAIL() << "accepted";
  } catch (const InputError& e) {
    EXPECT_EQ(e.what(), fmt::format("{}: byte {}: truncated gzip data; expected its end",
                                    path_.string(), size / 2));
  }
}

}  // namespace
}  // namespace kpksim::workload
