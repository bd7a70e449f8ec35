// Claims about how the reader takes memory calls and files: reservations, sizes, fresh files,
// locks.

#include "tests/workload/strace_fixture.h"

namespace kpksim::workload {
namespace {

// Only that mappings are touched.
TouchRule touching() {
  TouchRule rule = silent();
  rule.touch = true;
  return rule;
}

const char* const kWrite = "5 write(1, \"\", 1) = 1\n";  // after which the mappings were used

std::string arena(const char* at, std::uint64_t bytes, const char* prot, const char* flags) {
  return fmt::format("5 mmap({}, {}, {}, MAP_PRIVATE|MAP_ANONYMOUS|{}, -1, 0) = {}\n", at, bytes,
                     prot, flags, at);
}

class StraceMemory : public Strace {
 protected:
  // The operation that the text ends with.
  Operation last(const std::string& text) const {
    const Workload workload = read(text, touching());
    return workload.phases.at(0).steps.back().op;
  }
  std::uint64_t unclear(const std::string& text, const std::string& kind) const {
    for (const auto& [name, n] : read(text).not_understood) {
      if (name == kind) return n;
    }
    return 0;
  }
};

// --- What continues a file mapping ---

std::string object(const char* data_prot) {
  return fmt::format(
      "5 open(\"/lib/x.so\", O_RDONLY) = 3\n"
      "5 mmap(NULL, 65536, PROT_READ, MAP_PRIVATE, 3, 0) = 0x7f0000000000\n"
      "5 mmap(0x7f0000008000, 8192, {}, MAP_PRIVATE|MAP_FIXED, 3, 0x8000) = 0x7f0000008000\n",
      data_prot);
}

// Zeroed memory of a library is looked at before it is written, at its first page.
bool is_bss(const Texts& ops, const std::string& at) {
  return std::find(ops.begin(), ops.end(), "read 5 " + at + "+0x1000 by 0x1000") != ops.end();
}

TEST_F(StraceMemory, OnlyWhatContinuesALoadersDataIsZeroedMemoryBehindAFile) {
  TouchRule rule = touching();
  rule.library_zero_percent = 100;
  const std::string behind =
      arena("0x7f000000a000", 8192, "PROT_READ|PROT_WRITE", "MAP_FIXED") + kWrite;
  EXPECT_TRUE(is_bss(ops(object("PROT_READ|PROT_WRITE") + behind, rule), "0x7f000000a000"));
  // Behind text, or beyond what the loader had reserved.
  EXPECT_FALSE(is_bss(ops(object("PROT_READ|PROT_EXEC") + behind, rule), "0x7f000000a000"));
  EXPECT_FALSE(
      is_bss(ops(object("PROT_READ|PROT_WRITE") +
                     arena("0x7f000000a000", 32768, "PROT_READ|PROT_WRITE", "MAP_FIXED") + kWrite,
                 rule),
             "0x7f000000a000"));
  EXPECT_FALSE(
      is_bss(ops(object("PROT_READ|PROT_WRITE") +
                     arena("0x7f000000c000", 8192, "PROT_READ|PROT_WRITE", "MAP_FIXED") + kWrite,
                 rule),
             "0x7f000000c000"));
}

TEST_F(StraceMemory, AReservationCommittedInPlaceIsOrdinaryMemory) {
  TouchRule rule = touching();
  rule.open_kb = 12;
  rule.library_zero_percent = 100;
  const std::string reserve = arena("0xc000000000", 64 << 20, "PROT_NONE", "MAP_NORESERVE");
  const Texts by_mmap = ops(
      reserve + arena("0xc000000000", 4 << 20, "PROT_READ|PROT_WRITE", "MAP_FIXED") + kWrite, rule);
  EXPECT_EQ(by_mmap.back(), "write 5 0xc000000000+0x3000 by 0x1000");
  const Texts by_mprotect =
      ops(reserve + "5 mprotect(0xc000000000, 4194304, PROT_READ|PROT_WRITE) = 0\n" + kWrite, rule);
  EXPECT_EQ(by_mprotect.back(), by_mmap.back());
}

TEST_F(StraceMemory, APieceOfAReservationIsFullWhenItIsCommittedFurther) {
  TouchRule rule = touching();
  rule.open_kb = 12;
  const std::string reserve = arena("0xc000000000", 64 << 20, "PROT_NONE", "MAP_NORESERVE");
  const auto commit = [](const char* at) {
    return fmt::format("5 mprotect({}, 1048576, PROT_READ|PROT_WRITE) = 0\n", at) + kWrite;
  };
  const Texts behind = ops(reserve + commit("0xc000000000") + commit("0xc000100000"), rule);
  EXPECT_EQ(behind[behind.size() - 2], "write 5 0xc000003000+0xfd000 by 0x1000");
  const Texts elsewhere = ops(reserve + commit("0xc000000000") + commit("0xc000200000"), rule);
  EXPECT_EQ(elsewhere[elsewhere.size() - 2], "mprotect 5 0xc000200000+0x100000 3");
}

// As V8 gives its heap back: what is reserved only is not touched any more.
TEST_F(StraceMemory, MemoryTakenOutOfUseInPlaceHadBeenUsed) {
  TouchRule rule = touching();
  rule.open_kb = 12;
  rule.used_percent = 50;
  const std::string used = arena("0xc000000000", 1 << 20, "PROT_NONE", "MAP_NORESERVE") +
                           "5 mprotect(0xc000000000, 1048576, PROT_READ|PROT_WRITE) = 0\n" + kWrite;
  const Texts reserved = ops(used +
                                 "5 mprotect(0xc000000000, 1048576, PROT_NONE) = 0\n"
                                 "5 munmap(0xc000000000, 1048576) = 0\n",
                             rule);
  EXPECT_EQ(Texts(reserved.end() - 3, reserved.end()),
            (Texts{"write 5 0xc000003000+0x7f000 by 0x1000", "mprotect 5 0xc000000000+0x100000 0",
                   "munmap 5 0xc000000000+0x100000"}));
  // A guard page at its end says nothing of the rest.
  const Texts guarded = ops(used + "5 mprotect(0xc0000ff000, 4096, PROT_NONE) = 0\n", rule);
  EXPECT_EQ(guarded[guarded.size() - 2], "write 5 0xc000000000+0x3000 by 0x1000");
}

// --- Size and use ---

TEST_F(StraceMemory, AddressSpaceWithoutReserveIsUsedAtItsBeginning) {
  TouchRule rule = touching();
  rule.open_kb = 12;
  rule.used_percent = 50;
  const auto mapped = [&](std::uint64_t bytes, const char* flags) {
    const Texts all = ops(arena("0x200000000000", bytes, "PROT_READ|PROT_WRITE", flags) +
                              fmt::format("5 munmap(0x200000000000, {}) = 0\n", bytes),
                          rule);
    return static_cast<std::size_t>(std::count_if(
        all.begin(), all.end(), [](const std::string& op) { return op.starts_with("write"); }));
  };
  EXPECT_EQ(mapped(1ull << 40, "MAP_NORESERVE"), 2u);  // the beginning, and once more as it goes
  EXPECT_EQ(mapped(32 << 20, "MAP_NORESERVE"), 3u);    // an allocator's: half of it
  EXPECT_EQ(mapped(1ull << 30, "MAP_FIXED"), 3u);
  // An allocator's pieces grow.
  const std::string grown =
      arena("0x300000000000", 60 << 20, "PROT_READ|PROT_WRITE", "MAP_NORESERVE") + kWrite +
      arena("0x400000000000", 80 << 20, "PROT_READ|PROT_WRITE", "MAP_NORESERVE");
  EXPECT_EQ(read(grown, rule).assumptions.size(), read(kWrite, rule).assumptions.size());
  EXPECT_EQ(ops(grown + "5 munmap(0x400000000000, 83886080) = 0\n", rule).end()[-2],
            "write 5 0x400000003000+0x27ff000 by 0x1000");
}

TEST_F(StraceMemory, AMappingIsReadAsFarAsItsFileGoes) {
  TouchRule rule = touching();
  rule.used_percent = 100;
  const std::string map = "5 mmap(NULL, 1048576, PROT_READ, MAP_SHARED, 3, 0) = 0x7f0000000000\n";
  const auto read_after = [&](const std::string& calls) {
    return ops("5 open(\"/a\", O_RDWR|O_CREAT, 0644) = 3\n" + calls + map + kWrite, rule).back();
  };
  const std::string short_file = "read 5 0x7f0000000000+0x3000 by 0x10000";
  EXPECT_EQ(read_after(""), "read 5 0x7f0000000000+0x100000 by 0x10000");
  EXPECT_EQ(read_after("5 fstat(3, {st_mode=S_IFREG|0644, st_size=9000, ...}) = 0\n"), short_file);
  EXPECT_EQ(read_after("5 newfstatat(3, \"\", {st_mode=S_IFREG|0644, st_size=9000, ...}, "
                       "AT_EMPTY_PATH) = 0\n"),
            short_file);
  EXPECT_EQ(read_after("5 newfstatat(AT_FDCWD, \"/a\", {st_mode=S_IFREG|0644, st_size=9000, ...}, "
                       "0) = 0\n"),
            short_file);
  EXPECT_EQ(read_after("5 statx(3, \"\", AT_EMPTY_PATH, STATX_SIZE, {stx_mask=STATX_SIZE, "
                       "stx_mode=S_IFREG|0644, stx_size=9000, ...}) = 0\n"),
            short_file);
  EXPECT_EQ(read_after("5 lseek(3, 0, SEEK_END) = 9000\n"), short_file);
  EXPECT_EQ(read_after("5 ftruncate(3, 9000) = 0\n"), short_file);
  EXPECT_EQ(read_after("5 ftruncate(3, 0) = 0\n5 pwrite64(3, \"\"..., 1000, 8000) = 1000\n"),
            short_file);
  EXPECT_EQ(read_after("5 ftruncate(3, 0) = 0\n5 fallocate(3, 0, 0, 9000) = 0\n"), short_file);
  EXPECT_EQ(read_after("5 ftruncate(3, 8000) = 0\n5 lseek(3, 8000, SEEK_SET) = 8000\n"
                       "5 dup(3) = 4\n5 write(4, \"\"..., 1000) = 1000\n"),
            short_file);
  // A device says nothing by its size.
  EXPECT_EQ(read_after("5 fstat(3, {st_mode=S_IFCHR|0600, st_size=0, ...}) = 0\n"), read_after(""));
}

TEST_F(StraceMemory, TheResultSaysWhatIsTakenForAddressSpace) {
  const Workload few =
      read(arena("0x200000000000", 1 << 20, "PROT_READ|PROT_WRITE", "MAP_NORESERVE"));
  const Workload all =
      read(arena("0x200000000000", 1ull << 40, "PROT_READ|PROT_WRITE", "MAP_NORESERVE") +
           arena("0x500000000000", 1ull << 40, "PROT_NONE", "MAP_NORESERVE"));
  ASSERT_EQ(all.assumptions.size(), few.assumptions.size() + 1);
  // A large program is none, nor is a large mapping of a short file.
  EXPECT_EQ(
      read("5 open(\"/a\", O_RDONLY) = 3\n"
           "5 fstat(3, {st_mode=S_IFREG|0644, st_size=100000000, ...}) = 0\n"
           "5 mmap(NULL, 100100000, PROT_READ|PROT_EXEC, MAP_PRIVATE, 3, 0) = 0x7f0000000000\n"
           "5 open(\"/b\", O_RDONLY) = 3\n"
           "5 fstat(3, {st_mode=S_IFREG|0644, st_size=1000, ...}) = 0\n"
           "5 mmap(NULL, 100100000, PROT_READ, MAP_PRIVATE, 3, 0) = 0x7e0000000000\n")
          .assumptions.size(),
      few.assumptions.size());
  EXPECT_TRUE(all.assumptions.back().starts_with(
      "1 mapping(s) of more than 64 MB, 1048576 MB together, are address space"))
      << all.assumptions.back();
}

// --- What the kernel brings ---

TEST_F(StraceMemory, WhatTheKernelBringsIsNotTouchedFirst) {
  const auto mapped = [&](const char* flags) {
    return fmt::format(
        "5 mmap(NULL, 65536, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS{}, -1, 0) = "
        "0x7f0000000000\n",
        flags);
  };
  const auto writes = [&](const std::string& text) {
    const Texts all = ops(text + kWrite, touching());
    return std::count_if(all.begin(), all.end(),
                         [](const std::string& op) { return op.starts_with("write"); });
  };
  EXPECT_EQ(writes(mapped("")), 1);
  EXPECT_EQ(writes(mapped("|MAP_POPULATE")), 0);
  EXPECT_EQ(writes(mapped("|MAP_POPULATE|MAP_NONBLOCK")), 1);
  EXPECT_EQ(writes(mapped("|MAP_LOCKED")), 0);
  EXPECT_EQ(writes(mapped("") + "5 mlock(0x7f0000000000, 65536) = 0\n"), 0);
  EXPECT_EQ(writes(mapped("") + "5 mlock2(0x7f0000000000, 65536, MLOCK_ONFAULT) = 0\n"), 1);
  EXPECT_EQ(writes(mapped("") + "5 madvise(0x7f0000000000, 65536, MADV_POPULATE_WRITE) = 0\n"), 0);
  EXPECT_EQ(writes(mapped("") + "5 madvise(0x7f0000000000, 65536, 0x17 /* MADV_??? */) = 0\n"), 0);
  EXPECT_EQ(writes("5 mlockall(MCL_FUTURE) = 0\n" + mapped("")), 0);
  EXPECT_EQ(writes("5 mlockall(MCL_FUTURE|MCL_ONFAULT) = 0\n" + mapped("")), 1);
  EXPECT_EQ(writes("5 mlockall(MCL_FUTURE) = 0\n5 munlockall() = 0\n" + mapped("")), 1);
  EXPECT_EQ(writes(mapped("") + "5 mlockall(MCL_CURRENT) = 0\n"), 0);
}

// --- Fresh files ---

TEST_F(StraceMemory, AFileThatTheRecordingMakesHasNoPages) {
  const auto fresh = [&](const std::string& calls, std::uint64_t offset = 0) {
    return last("5 " + calls +
                fmt::format("5 mmap(NULL, 4096, PROT_READ|PROT_WRITE, MAP_SHARED, 3, {}) = "
                            "0x7f0000000000\n",
                            offset))
        .shmem;
  };
  EXPECT_TRUE(fresh("memfd_create(\"x\", MFD_CLOEXEC) = 3\n"));
  EXPECT_TRUE(fresh("openat(AT_FDCWD, \"/dev/shm/x\", O_RDWR|O_CREAT|O_EXCL, 0600) = 3\n"));
  EXPECT_TRUE(fresh("openat(AT_FDCWD, \"/a\", O_RDWR|O_CREAT|O_TRUNC, 0600) = 3\n"));
  EXPECT_TRUE(fresh("openat(AT_FDCWD, \"/tmp\", O_RDWR|O_TMPFILE, 0600) = 3\n"));
  EXPECT_TRUE(fresh("unlink(\"/a\") = 0\n5 open(\"/a\", O_RDWR|O_CREAT, 0600) = 3\n"));
  EXPECT_FALSE(fresh("open(\"/a\", O_RDWR|O_CREAT, 0600) = 3\n"));
  EXPECT_FALSE(fresh("open(\"/dev/shm/x\", O_RDWR) = 3\n"));
  // What calls have written is in the page cache, what is behind that is not.
  const std::string written =
      "memfd_create(\"x\", 0) = 3\n5 write(3, \"\"..., 4096) = 4096\n5 ftruncate(3, 8192) = 0\n";
  EXPECT_FALSE(fresh(written));
  EXPECT_TRUE(fresh(written, 4096));
}

TEST_F(StraceMemory, DevZeroIsAnonymousMemory) {
  const Operation op = last(
      "5 open(\"/dev/zero\", O_RDWR) = 3\n"
      "5 mmap(NULL, 4096, PROT_READ|PROT_WRITE, MAP_SHARED, 3, 0) = 0x7f0000000000\n");
  EXPECT_FALSE(op.file);
  EXPECT_TRUE(op.shared);
}

TEST_F(StraceMemory, AFileGoesWithItsLastUser) {
  const std::string made =
      "5 memfd_create(\"x\", 0) = 3\n"
      "5 mmap(NULL, 4096, PROT_READ|PROT_WRITE, MAP_SHARED, 3, 0) = 0x7f0000000000\n";
  EXPECT_EQ(last(made + "5 close(3) = 0\n").kind, OpKind::kClose);
  EXPECT_EQ(last(made + "5 dup(3) = 4\n5 close(3) = 0\n").kind, OpKind::kSyscall);
  EXPECT_EQ(last(made + "5 dup(3) = 4\n5 close(3) = 0\n5 close(4) = 0\n").kind, OpKind::kClose);
  const auto steps = read(made + "5 exit_group(0) = ?\n").phases.at(0).steps;
  EXPECT_EQ(steps[steps.size() - 2].op.kind, OpKind::kClose);
  EXPECT_TRUE(steps[steps.size() - 2].op.unnamed);
  const std::string named =
      "5 open(\"/dev/shm/x\", O_RDWR|O_CREAT|O_EXCL, 0600) = 3\n"
      "5 mmap(NULL, 4096, PROT_READ|PROT_WRITE, MAP_SHARED, 3, 0) = 0x7f0000000000\n"
      "5 close(3) = 0\n";
  EXPECT_EQ(last(named).kind, OpKind::kSyscall);
  EXPECT_EQ(last(named + "5 unlink(\"/dev/shm/x\") = 0\n").kind, OpKind::kClose);
}

// --- Calls by name ---

TEST_F(StraceMemory, AMappedFileIsCutAndHoled) {
  const std::string made =
      "5 memfd_create(\"x\", 0) = 3\n5 ftruncate(3, 65536) = 0\n"
      "5 mmap(NULL, 32768, PROT_READ|PROT_WRITE, MAP_SHARED, 3, 0x4000) = 0x7f0000000000\n";
  const Operation cut = last(made + "5 ftruncate(3, 20480) = 0\n");
  EXPECT_EQ(cut.kind, OpKind::kTruncate);
  EXPECT_EQ(cut.length, 20480u);
  const Operation hole =
      last(made + "5 fallocate(3, FALLOC_FL_KEEP_SIZE|FALLOC_FL_PUNCH_HOLE, 0, 24576) = 0\n");
  EXPECT_EQ(hole.kind, OpKind::kPunchHole);
  EXPECT_EQ(hole.address, 0x7f0000000000u);
  EXPECT_EQ(hole.length, 8192u);  // what is mapped of it
  EXPECT_EQ(last(made + "5 madvise(0x7f0000001000, 4096, MADV_REMOVE) = 0\n").kind,
            OpKind::kPunchHole);
}

TEST_F(StraceMemory, AdviceIsReadByNameAndByNumber) {
  const auto advice = [&](const char* word) {
    const Operation op =
        last("5 " + kMmap + fmt::format("5 madvise(0x7f0000000000, 8192, {}) = 0\n", word));
    EXPECT_EQ(op.kind, OpKind::kMadvise) << word;
    return op.advice;
  };
  EXPECT_EQ(advice("MADV_COLD"), Advice::kCold);
  EXPECT_EQ(advice("0x14 /* MADV_??? */"), Advice::kCold);
  EXPECT_EQ(advice("20"), Advice::kCold);
  EXPECT_EQ(advice("0x15 /* MADV_??? */"), Advice::kPageout);
  EXPECT_EQ(advice("MADV_WIPEONFORK"), Advice::kWipeOnFork);
  EXPECT_EQ(advice("0x66 /* MADV_??? */"), Advice::kGuardInstall);
  EXPECT_EQ(unclear("5 " + kMmap + "5 madvise(0x7f0000000000, 8192, MADV_MERGEABLE) = 0\n",
                    "call without a model: madvise(MADV_MERGEABLE)"),
            1u);
  EXPECT_EQ(unclear("5 " + kMmap + "5 madvise(0x7f0000000000, 8192, 0x7b /* MADV_??? */) = 0\n",
                    "call without a model: madvise(0x7b /* MADV_??? */)"),
            1u);
}

TEST_F(StraceMemory, AProcessMayAdviseItselfThroughADescriptor) {
  const std::string call =
      "5 process_madvise(4, [{iov_base=0x7f0000000000, iov_len=8192}], 1, MADV_COLD, 0) = 8192\n";
  EXPECT_EQ(last("5 " + kMmap + "5 pidfd_open(5, 0) = 4\n" + call).advice, Advice::kCold);
  EXPECT_EQ(unclear("5 " + kMmap + call, "call without a model: process_madvise"), 1u);
}

TEST_F(StraceMemory, MremapMayLeaveTheOldMapping) {
  const Operation twice = last("5 " + kMmap +
                               "5 mremap(0x7f0000000000, 0, 8192, MREMAP_MAYMOVE) = "
                               "0x7f1000000000\n");
  EXPECT_EQ(twice.kind, OpKind::kMremap);
  EXPECT_EQ(twice.length, 0u);
  const Operation stays = last("5 " + kMmap +
                               "5 mremap(0x7f0000000000, 8192, 8192, "
                               "MREMAP_MAYMOVE|MREMAP_DONTUNMAP) = 0x7f1000000000\n");
  EXPECT_TRUE(stays.dont_unmap);
}

TEST_F(StraceMemory, PagesOfAFileAreMappedAnew) {
  const Operation op = last(
      "5 memfd_create(\"x\", 0) = 3\n5 ftruncate(3, 65536) = 0\n"
      "5 mmap(NULL, 32768, PROT_READ|PROT_WRITE, MAP_SHARED, 3, 0) = 0x7f0000000000\n"
      "5 remap_file_pages(0x7f0000001000, 4096, 0, 5, 0) = 0\n");
  EXPECT_EQ(op.kind, OpKind::kMmap);
  EXPECT_EQ(op.address, 0x7f0000001000u);
  EXPECT_EQ(op.file_offset, 5u * 4096);
  EXPECT_EQ(unclear("5 " + kMmap + "5 remap_file_pages(0x7f0000000000, 4096, 0, 5, 0) = 0\n",
                    "call without a model: remap_file_pages"),
            1u);
}

TEST_F(StraceMemory, CallsWithoutAModelAreNamedWithTheirCount) {
  EXPECT_EQ(
      unclear("5 userfaultfd(0) = 3\n5 userfaultfd(0) = 4\n5 userfaultfd(0) = -1 EPERM (No)\n",
              "call without a model: userfaultfd"),
      2u);
}

}  // namespace
}  // namespace kpksim::workload
