#pragma once
// The page-table helpers: the only code of the kernel that writes descriptors. Each entry written
// is one guarded section (KERNEL.md of the series: __set_pte_nosync, set_pmd, __ptep_get_and_clear
// and so on), unless a batched lazy MMU section is open. Stores go through the linear map and the
// MMU; a refused store is an oops.

#include <cstdint>
#include <optional>

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
    // Instructions of a guard's own section; with batching, of looking whether a lazy section is
    // open; and of a lazy section. How long the first two are depends on the function that they
    // are inlined into: faults are told apart here, lazy sections bring the length of their looks.
    std::uint64_t section = 0, section_open = 0, lazy_section = 0;
    std::uint64_t fault_section = 0, fault_section_open = 0;
  };
  PageTables(Protection& protection, const Options& options)
      : protection_(protection),
        options_(options),
        batches_(protection.batches()),
        keys_pages_(protection.keys_pages()) {}

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

  // arch_enter_lazy_mmu_mode and arch_leave_lazy_mmu_mode. Sections do not nest. `look`:
  // instructions of a guard that finds this section open, if not those of most.
  void enter_lazy(cpu::Core& core, std::optional<std::uint64_t> look = {});
  void look(std::optional<std::uint64_t> instructions) {
    look_ = instructions.value_or(options_.section_open);
  }
  void leave_lazy(cpu::Core& core);

  // In interrupts lazy MMU sections do nothing, and each write is guarded by itself.
  void set_interrupt(bool interrupt) { interrupt_ = interrupt; }

  Protection& protection() { return protection_; }
  std::uint64_t writes() const { return writes_; }

 private:
  void write(cpu::Core& core, PhysAddr entry, std::uint64_t value);
  void barriers(cpu::Core& core);

  Protection& protection_;
  const Options options_;
  const bool batches_, keys_pages_;  // of the protection: asked at each write
  bool lazy_ = false;
  std::uint64_t look_ = 0;  // of the open lazy section
  bool interrupt_ = false;
  bool barriers_pending_ = false;
  std::uint64_t writes_ = 0;
};

class LazySection {
 public:
  LazySection(PageTables& tables, cpu::Core& core, std::optional<std::uint64_t> look = {})
      : tables_(tables), core_(core) {
    tables_.enter_lazy(core_, look);
  }
  // From now on a guard takes this to find the section open.
  void look(std::optional<std::uint64_t> instructions) { tables_.look(instructions); }
  ~LazySection() { tables_.leave_lazy(core_); }
  LazySection(const LazySection&) = delete;
  LazySection& operator=(const LazySection&) = delete;

 private:
  PageTables& tables_;
  cpu::Core& core_;
};

class InterruptContext {
 public:
  explicit InterruptContext(PageTables& tables) : tables_(tables) { tables_.set_interrupt(true); }
  ~InterruptContext() { tables_.set_interrupt(false); }
  InterruptContext(const InterruptContext&) = delete;
  InterruptContext& operator=(const InterruptContext&) = delete;

 private:
  PageTables& tables_;
};

}  // namespace kpksim::kernel
