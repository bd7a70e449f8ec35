#pragma once
// A process's life in scenes, which between them reach every place where the kernel model flushes:
// what goes wrong without one of them shows in an audit, or to the sanitizer.

#include <array>
#include <vector>

#include "tests/kernel/fixture.h"

namespace kpksim::kernel {

inline constexpr std::uint64_t kSmall = 64 << 10;

// A kernel on two cores whose audits are added up.
class Life {
 public:
  Life(const char* policy, const std::vector<Injection>& injections, const cpu::CoreProfile& core,
       const KernelProfile& kernel = kernel_profile(), bool watched = false)
      : k(core, kernel, with(policy, injections, watched)) {}

  void audit() {
    const AuditResult a = k.audit();
    stale += a.stale_leaves + a.stale_tables + a.bbm_violations;
  }

  Kernel k;
  std::uint64_t stale = 0;

 private:
  static Config with(const char* policy, const std::vector<Injection>& injections, bool watched) {
    Config c;
    c.policy = parse_policy(policy);
    c.memory_bytes = 1ull << 30;
    c.cores = 2;
    c.injections = injections;
    c.watched = watched;
    return c;
  }
};

inline void fork_and_copy(Life& l) {
  l.k.touch(1, l.k.placement(1).stack_top - 8, kWrite);  // the last that fork looks at
  const std::uint64_t at = map_and_write(l.k, 1, kSmall);
  l.k.fork(1, 2);
  l.audit();
  l.k.touch(1, at, kRead);
  l.k.touch(1, at, kWrite);  // copied
  l.audit();
  for (std::uint64_t i = 0; i < kSmall; i += kPageSize) l.k.touch(2, at + i, kRead);
  l.k.exit(2);
  l.audit();
  l.k.wait(1, 2);
}

inline void reuse_after_fork(Life& l) {
  const std::uint64_t at = map_and_write(l.k, 1, kSmall);
  l.k.fork(1, 2);
  l.k.exit(2);
  l.k.touch(1, at, kRead);
  l.k.touch(1, at, kWrite);  // nobody else has it: made writable in place
  l.audit();
}

inline void protect_and_unmap(Life& l) {
  const std::uint64_t at = map_and_write(l.k, 1, kSmall);
  l.k.mprotect(1, at, kSmall, true, false, false);
  l.audit();
  l.k.mprotect(1, at, kSmall, true, true, false);
  l.audit();
  l.k.touch(1, at, kWrite);
  l.k.munmap(1, at, kSmall);
  l.audit();
}

inline void free_lazily(Life& l) {
  const std::uint64_t at = map_and_write(l.k, 1, kSmall);
  l.k.madvise_free(1, at, kSmall);
  l.audit();
  Vma vma = rw();
  vma.huge = HugeAdvice::kHugepage;
  const std::uint64_t huge = l.k.mmap(1, vma, 2 * kPmdSize, 0xa00000000);
  for (std::uint64_t i = 0; i < 2 * kPmdSize; i += kPageSize) l.k.touch(1, huge + i, kWrite);
  l.k.madvise_free(1, huge, kPmdSize + kSmall);  // one stays huge, one comes apart
  l.audit();
}

inline void move(Life& l) {
  const std::uint64_t at = map_and_write(l.k, 1, kSmall);
  l.k.mremap(1, {at, kSmall, kSmall, 0x200000000});
  l.audit();
  const std::uint64_t tables = map_and_write(l.k, 1, 2 * kPmdSize, 0x300000000);
  l.k.mremap(1, {tables, 2 * kPmdSize, 2 * kPmdSize, 0x400000000});  // whole tables
  l.audit();
}

inline void split_huge_page(Life& l) {
  Vma vma = rw();
  vma.huge = HugeAdvice::kHugepage;
  const std::uint64_t at = l.k.mmap(1, vma, 2 * kPmdSize, 0x500000000);
  l.k.touch(1, at + kPmdSize, kWrite);
  l.k.touch(1, at + kPmdSize, kWrite);
  l.k.madvise_huge(1, at + kPmdSize + kPageSize, kPageSize, HugeAdvice::kNoHugepage);
  l.audit();
}

// A page of a huge folio that is mapped by entries is copied: its contiguous run is unfolded.
inline void unfold_contiguous_run(Life& l) {
  Vma vma = rw();
  vma.huge = HugeAdvice::kHugepage;
  const std::uint64_t at = l.k.mmap(1, vma, 2 * kPmdSize, 0x700000000);
  l.k.touch(1, at, kWrite);
  l.k.madvise_fork(1, at + kPageSize, kPageSize, true);  // splits VMA and block, not the folio
  l.k.touch(1, at + 32 * kPageSize, kRead);
  l.k.mprotect(1, at + 33 * kPageSize, kPageSize, true, false, false);  // unfolds
  l.audit();
}

inline void free_kernel_memory(Life& l) {
  const std::uint64_t v = l.k.memory().vmalloc(8, false);
  l.k.system().machine.core(0).load64(VirtAddr(v));
  l.k.memory().vfree(v);
  // 64 MB on two cores: the 16th reaches lazy_max_pages() and purges.
  for (int i = 0; i < 16; ++i) {
    const std::uint64_t area = l.k.memory().vmalloc(1024, false);
    l.k.system().machine.core(0).load64(VirtAddr(area));
    l.k.memory().vfree(area);
  }
  l.audit();
}

// More live address spaces than 8-bit ASIDs, each with a page of its own in the TLB.
inline void run_out_of_asids(Life& l) {
  const std::uint64_t at = map_and_write(l.k, 1, kPageSize, 0x100000000);
  for (std::uint32_t child = 2; child < 400; ++child) {
    l.k.fork(1, child);
    l.k.touch(child, at, kWrite);
    if (child % 8 == 0) l.audit();
  }
}

inline cpu::CoreProfile small_asids(cpu::CoreProfile core) {
  core.asid_bits = 8;
  return core;
}

inline void collapse(Life& l) {
  Vma vma = rw();
  const std::uint64_t at = l.k.mmap(1, vma, kPmdSize, 0x900000000);
  for (std::uint64_t i = 0; i < kPmdSize; i += 2 * kPageSize) l.k.touch(1, at + i, kWrite);
  l.k.madvise_huge(1, at, kPmdSize, HugeAdvice::kHugepage);
  l.k.madvise_collapse(1, at, kPmdSize);
  l.k.touch(1, at + kPageSize, kWrite);
  l.audit();
}

inline void make_cold(Life& l) {
  const std::uint64_t at = map_and_write(l.k, 1, kPageSize, 0x800000000);
  l.k.madvise_cold(1, at, kPageSize);  // old, but a cached entry would not mark the next use
  l.audit();
}

inline constexpr std::array kScenes = {
    fork_and_copy, reuse_after_fork, protect_and_unmap,     free_lazily,       collapse, make_cold,
    move,          split_huge_page,  unfold_contiguous_run, free_kernel_memory};

}  // namespace kpksim::kernel
