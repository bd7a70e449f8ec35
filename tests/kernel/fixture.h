#pragma once
// What tests of the kernel model share: profiles, configurations and a process that has written.

#include <gtest/gtest.h>

#include <string>

#include "sim/kernel/kernel.h"
#include "tests/paths.h"

namespace kpksim::kernel {

inline constexpr poe::AccessKind kRead = poe::AccessKind::kRead;
inline constexpr poe::AccessKind kWrite = poe::AccessKind::kWrite;

inline const cpu::CoreProfile& core_profile() {
  static const cpu::CoreProfile p =
      cpu::read_core_profile(kpksim::test::source_path("profiles/cores/neoverse-v1.json"));
  return p;
}

// One with FEAT_MTE2.
inline const cpu::CoreProfile& mte_core_profile() {
  static const cpu::CoreProfile p =
      cpu::read_core_profile(kpksim::test::source_path("profiles/cores/neoverse-v2.json"));
  return p;
}

// One of x86-64.
inline const cpu::CoreProfile& x86_core_profile() {
  static const cpu::CoreProfile p =
      cpu::read_core_profile(kpksim::test::source_path("profiles/cores/sapphire-rapids.json"));
  return p;
}

// The usual one, unless it cannot run the policy.
inline const cpu::CoreProfile& core_profile_for(const Policy& policy) {
  for (const auto* core : {&core_profile(), &mte_core_profile()}) {
    if (!reason_against(policy, *core)) return *core;
  }
  return x86_core_profile();
}

inline const KernelProfile& kernel_profile() {
  static const KernelProfile p =
      read_kernel_profile(kpksim::test::source_path("profiles/kernels/linux-6.12-kpkeys.json"));
  return p;
}

inline Config config(const std::string& protection, bool batching, const std::string& allocator,
                     Granularity map, unsigned cores = 1) {
  Config c;
  c.policy.protection.name = protection;
  if (batching) c.policy.window = WindowScope::kLazy;
  c.policy.allocator.name = allocator;
  c.policy.linear_map = map;
  c.memory_bytes = 1ull << 30;
  c.cores = cores;
  return c;
}

// A private, writable, anonymous mapping of small pages.
inline Vma rw() {
  Vma vma;
  vma.read = vma.write = true;
  vma.huge = HugeAdvice::kNoHugepage;
  return vma;
}

inline constexpr std::uint64_t kBytes = 16ull << 20;

inline std::uint64_t map_and_write(Kernel& k, std::uint32_t task, std::uint64_t bytes = kBytes,
                                   std::uint64_t address = 0) {
  const std::uint64_t at = k.mmap(task, rw(), bytes, address);
  for (std::uint64_t i = 0; i < bytes; i += kPageSize) {
    EXPECT_TRUE(k.touch(task, at + i, poe::AccessKind::kWrite));
  }
  return at;
}

// Task 1 and a thread of it, 2, on two cores, have both read a page of shared memory: its address.
inline std::uint64_t page_read_by_two(Kernel& k) {
  k.clone_thread(1, 2);
  k.migrate(1, 0);
  k.migrate(2, 1);
  Vma vma = rw();
  vma.shared = true;
  const std::uint64_t at = k.mmap(1, vma, kPageSize, 0);
  for (const std::uint32_t task : {1u, 2u}) EXPECT_TRUE(k.touch(task, at, poe::AccessKind::kRead));
  return at;
}

}  // namespace kpksim::kernel
