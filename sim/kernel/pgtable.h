#pragma once
// The page-table helpers: the only code of the kernel that writes descriptors. Each entry written
// is one guarded section (KERNEL.md of the series: __set_pte_nosync, set_pmd, __ptep_get_and_clear
// and so on), unless a batched lazy MMU section is open. Stores go through the linear map and the
// MMU; a refused store is an oops.

#include <cstdint>

#include "sim/cpu/core.h"
#include "sim/kernel/protect/protection.h"
#include "sim/mmu/descriptor.h"

namespace kpksim::kernel {

// Where memory starts and where the linear map puts it (48-bit VA, arm64's PAGE_OFFSET).
inline constexpr std::uint64_t kPhysOffset = 0x40000000;
inline constexpr std::uint64_t kPageOffset = 0xffff000000000000;
inline constexpr std::uint64_t kVmallocStart = 0xffff800080000000;
inline constexpr std::uint64_t kVmallocEnd = 0xfffffbfff0000000;
inline constexpr std::uint64_t kUserEnd = 1ull << 48;

constexpr VirtAddr linear_va(PhysAddr pa) { return VirtAddr(pa.value - kPhysOffset + kPageOffset); }

// A kernel store or load that the MMU refused: the end of the simulated kernel.
class KernelOops : public std::runtime_error {
 public:
  KernelOops(const std::string& what, const mmu::Fault& f) : std::runtime_error(what), fault(f) {}
  mmu::Fault fault;
};

class PageTables {
 public:
  struct Options {
    // The barriers that a kernel mapping needs wait for the end of a lazy section.
    bool lazy_barriers = false;
    // Instructions of a guard that opens a section, and of one that finds it open.
    std::uint64_t section = 0, section_open = 0;
  };
  PageTables(Protection& protection, const Options& options)
      : protection_(protection), options_(options) {}

  std::uint64_t read(cpu::Core& core, PhysAddr entry) const;

  // set_pte: a valid kernel entry needs DSB ISHST + ISB.
  void set_pte(cpu::Core& core, PhysAddr entry, mmu::Descriptor d, bool kernel_mapping);
  // set_pmd and set_pud need the barriers if the entry is valid, set_p4d (level 0) always.
  void set_table(cpu::Core& core, PhysAddr entry, mmu::Descriptor d, unsigned level);
  // ptep_get_and_clear; ptep_set_wrprotect, ptep_set_access_flags and the like: atomic, one section
  // each.
  mmu::Descriptor get_and_clear(cpu::Core& core, PhysAddr entry);
  void exchange(cpu::Core& core, PhysAddr entry, mmu::Descriptor d);
  // A plain store to a table that no walker reads yet.
  void update(cpu::Core& core, PhysAddr entry, mmu::Descriptor d);

  // arch_enter_lazy_mmu_mode and arch_leave_lazy_mmu_mode. Sections do not nest.
  void enter_lazy(cpu::Core& core);
  void leave_lazy(cpu::Core& core);

  Protection& protection() { return protection_; }
  std::uint64_t writes() const { return writes_; }

 private:
  void write(cpu::Core& core, PhysAddr entry, std::uint64_t value);
  void barriers(cpu::Core& core);

  Protection& protection_;
  const Options options_;
  bool lazy_ = false;
  bool barriers_pending_ = false;
  std::uint64_t writes_ = 0;
};

class LazySection {
 public:
  LazySection(PageTables& tables, cpu::Core& core) : tables_(tables), core_(core) {
    tables_.enter_lazy(core_);
  }
  ~LazySection() { tables_.leave_lazy(core_); }
  LazySection(const LazySection&) = delete;
  LazySection& operator=(const LazySection&) = delete;

 private:
  PageTables& tables_;
  cpu::Core& core_;
};

}  // namespace kpksim::kernel
