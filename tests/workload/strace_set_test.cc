// Claims about what is a recording: files of strace -ff, missing children, what is refused and why,
// and programs that are known by other names.

#include "sim/workload/strace_set.h"

#include "tests/workload/strace_fixture.h"

namespace kpksim::workload {
namespace {

namespace fs = std::filesystem;

const std::string kBrk = "brk(NULL) = 0x555555580000\n";

class StraceSet : public Strace {
 protected:
  StraceSet() { fs::create_directory(path_); }
  std::string put(const std::string& name, const std::string& text) const {
    const std::string path = (path_ / name).string();
    std::ofstream(path, std::ios::binary) << text;
    return path;
  }
  Texts joined() const {
    Texts out;
    const Workload w = read_strace(files_of_prefix((path_ / "rec").string()), silent());
    EXPECT_TRUE(w.not_understood.empty());
    EXPECT_TRUE(w.notes.empty());
    for (const Step& step : w.phases.at(0).steps) {
      if (step.op.kind != OpKind::kSyscall) out.push_back(text_of(step.op));
    }
    return out;
  }
};

TEST_F(StraceSet, FilesOfOnePrefixAreFoundByPid) {
  for (const char* name : {"rec.9", "rec.10.gz", "rec.x", "rec", "record.7", "rec.7.zst"})
    put(name, "x");
  EXPECT_EQ(files_of_prefix((path_ / "rec").string()),
            (Texts{(path_ / "rec.7.zst").string(), (path_ / "rec.9").string(),
                   (path_ / "rec.10.gz").string()}));
  EXPECT_TRUE(files_of_prefix((path_ / "other").string()).empty());
  EXPECT_TRUE(files_of_prefix("/no/such/folder/rec").empty());
}

TEST_F(StraceSet, FilesAreOneRunIfACallInOneMadeTheTaskOfAnother) {
  const Texts run = {put("rec.5", kBrk + "fork() = 6\n"), put("rec.6", kBrk)};
  const Texts apart = {put("run.1", kBrk), put("run.2", kBrk)};
  EXPECT_EQ(group_recordings({run[0], apart[0], run[1], apart[1]}),
            (std::vector<Texts>{run, {apart[0]}, {apart[1]}}));
}

TEST_F(StraceSet, FilesAreJoinedByTime) {
  put("rec.5", "10:00:01 " + kBrk +
                   "10:00:02 fork() = 6\n10:00:04 munmap(0x1000, 4096) = 0\n"
                   "10:00:05 wait4(-1, NULL, 0, NULL) = 6\n10:00:05 exit_group(0) = ?\n");
  put("rec.6",
      "10:00:03 munmap(0x2000, 4096) = 0\n10:00:06 munmap(0x3000, 4096) = 0\n"
      "10:00:07 +++ exited with 0 +++\n");
  EXPECT_EQ(joined(),
            (Texts{"spawn 5", "fork 5 6", "munmap 6 0x2000+0x1000", "munmap 5 0x1000+0x1000",
                   "munmap 6 0x3000+0x1000", "exit 6", "wait 5 6", "exit 5"}));
}

TEST_F(StraceSet, MidnightIsNoStepBack) {
  put("rec.5", "23:59:58 " + kBrk + "23:59:59 fork() = 6\n00:00:02 munmap(0x1000, 4096) = 0\n");
  put("rec.6", "00:00:01 munmap(0x2000, 4096) = 0\n00:00:03 +++ exited with 0 +++\n");
  EXPECT_EQ(joined(), (Texts{"spawn 5", "fork 5 6", "munmap 6 0x2000+0x1000",
                             "munmap 5 0x1000+0x1000", "exit 6"}));
}

TEST_F(StraceSet, WithoutTimesTasksTakeTurnsAndWaitForEachOther) {
  put("rec.5",
      kBrk +
          "vfork() = 6\nmunmap(0x1000, 4096) = 0\nfork() = 7\n"
          "munmap(0x4000, 4096) = 0\nwait4(-1, NULL, 0, NULL) = 7\n+++ exited with 0 +++\n");
  put("rec.6",
      "munmap(0x2000, 4096) = 0\nexecve(\"/b\", [], 0x1) = 0\n"
      "munmap(0x3000, 4096) = 0\n+++ exited with 0 +++\n");
  put("rec.7", "munmap(0x5000, 4096) = 0\n+++ exited with 0 +++\n");
  const Texts ops = joined();
  const auto at = [&](const std::string& op) {
    return std::find(ops.begin(), ops.end(), op) - ops.begin();
  };
  EXPECT_LT(at("vfork 5 6"), at("munmap 6 0x2000+0x1000"));
  EXPECT_LT(at("exec 6"), at("munmap 5 0x1000+0x1000"));
  EXPECT_LT(at("fork 5 7"), at("munmap 7 0x5000+0x1000"));
  EXPECT_LT(at("exit 7"), at("wait 5 7"));
  EXPECT_EQ(ops.size(), 13u);
}

TEST_F(StraceSet, OneFileOfASetOrARecordingWithoutFSaysThatChildrenAreMissing) {
  const std::string one = put("rec.5", kBrk + "fork() = 6\n");
  EXPECT_EQ(
      read_strace(one).notes,
      (Texts{"1 child of which the recording has no line is left out; record with strace -f"}));
  put("rec.6", kBrk);
  EXPECT_EQ(read_strace(one).notes,
            (Texts{"1 child of which the recording has no line is left out; the files of strace "
                   "-ff are one run, by the name '" +
                   (path_ / "rec").string() + "'"}));
}

std::string reason(const std::string& text, const std::string& path) {
  std::ofstream(path, std::ios::binary) << text;
  try {
    read_strace(path);
  } catch (const InputError& e) {
    const std::string what = std::string(e.what()).substr(path.size());
    return what.substr(0, what.find("; expected the output"));
  }
  return "accepted";
}

TEST_F(StraceSet, WhatIsNoUsableRecordingSaysWhy) {
  const std::string path = (path_ / "x").string();
  EXPECT_EQ(
      reason("__libc_start_main(0x1, 2) = 0\nputs(\"x\") = 2\n+++ exited (status 0) +++\n", path),
      ":1: ltrace's output");
  EXPECT_EQ(reason("malloc(16) = 0x55\nfree(0x55) = <void>\n", path),
            ":1: not strace's output (2 of the first 2 lines)");
  EXPECT_EQ(reason("mmap(0x0,32768,0x3,0x1002,-1,0x0) = 34366169088 (0x80060a000)\n"
                   "open(\"/x\",0x0,00) ERR#2 'No such file or directory'\n",
                   path),
            ":2: truss's output");
  EXPECT_EQ(reason("     0.000 ( 0.003 ms): ls/12 brk() = 0x55\n", path),
            ":1: perf trace's output");
  EXPECT_EQ(reason("SYSCALL(args) \t\t = return\nmmap(0x0, 0x1000, 0x3)\t\t = 0x10B2000 0\n", path),
            ":1: dtruss's output");
  EXPECT_EQ(reason("# a remark\n# another\n", path), ":1: no system call, only 2 remarks");
  EXPECT_EQ(reason("strace: Process 7 attached\n7 --- SIGCHLD ---\n", path),
            ":1: no system call, only 2 notes and signals of strace");
  EXPECT_EQ(reason("% time     seconds  usecs/call     calls    errors syscall\n"
                   "------ ----------- ----------- --------- --------- ----------------\n"
                   " 50.00    0.000012           1         3           mmap\n"
                   "100.00    0.000012           1         3           total\n",
                   path),
            ":1: only the table of strace -c; record without -c");
  EXPECT_EQ(reason("5 execve(\"/x\", [], 0x1) = 0\n5 openat(AT_FDCWD, \"/a\", O_RDONLY) = 3\n"
                   "5 openat(AT_FDCWD, \"/b\", O_RDONLY) = 4\n",
                   path),
            ":1: no memory call (mmap, brk, munmap, ...) among its 3 calls, which are openat (2), "
            "execve (1); record without -e trace, or with -e trace=memory,process,desc");
  EXPECT_EQ(reason(std::string("\xff\xfe"
                               "5\0 \0",
                               6),
                   path),
            ":1: UTF-16 text; expected UTF-8 (iconv -f UTF-16 -t UTF-8)");
}

TEST_F(StraceSet, ACallThatLinuxDoesNotHaveIsNamed) {
  const std::string path =
      put("x", "5 " + kBrk + "5 nonsense(1) = 0\n5 nonsense(2) = 0\n5 getpid() = 5\n");
  using Kinds = std::vector<std::pair<std::string, std::uint64_t>>;
  EXPECT_EQ(read_strace(path).not_understood,
            (Kinds{{"call 'nonsense', which is none of Linux's", 2}}));
}

TEST_F(StraceSet, ProgramsAreFoundThroughLinksAndADefaultImageIsNamed) {
  const std::string list =
      "# program \"/usr/bin/python3.11\" text=4000000 data=4096 zero=0\n"
      "# program \"/bin/mawk\" text=90000 data=4096 zero=0\n"
      "# link \"/usr/bin/python3\" -> \"python3.11\"\n"
      "# link \"/usr/bin/awk\" -> \"/etc/alternatives/awk\"\n"
      "# link \"/etc/alternatives/awk\" -> \"/usr/bin/mawk\"\n"
      "# link \"/usr/bin/a\" -> \"b\"\n# link \"/usr/bin/b\" -> \"a\"\n";
  const auto run = [&](const std::string& program) {
    return "5 execve(\"" + program +
           "\", [], 0x1) = 0\n5 brk(NULL) = 0x555555980000\n"
           "5 mmap(NULL, 8192, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7f0000000000\n"
           "5 mprotect(0x555555978000, 4096, PROT_READ) = 0\n";
  };
  const auto defaults = [&](const std::string& program) {
    return read_strace(put("x", list + run(program))).default_images;
  };
  for (const char* known : {"/usr/bin/python3", "/bin/python3", "/usr/bin/../bin/./awk",
                            "/usr/bin/mawk", "\\x2fbin/python3.11"}) {
    EXPECT_TRUE(defaults(known).empty()) << known;
  }
  using Images = std::map<std::string, std::uint64_t>;
  EXPECT_EQ(defaults("/usr/bin/a"), (Images{{"/usr/bin/a", 1}}));
  EXPECT_EQ(defaults("/opt/\x1b[31m"), (Images{{"/opt/\\x1b[31m", 1}}));
  const std::string sizes = put("sizes", list), plain = put("x", run("/usr/bin/python3"));
  EXPECT_TRUE(read_strace(plain, {}, {sizes}).default_images.empty());
}

}  // namespace
}  // namespace kpksim::workload
