#pragma once
// A protection mechanism: how a page-table page is told apart, and how a window is opened in which
// it can be written. One file per mechanism in this folder, which registers it.

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "sim/base/parameter.h"
#include "sim/base/registry.h"
#include "sim/base/types.h"
#include "sim/cpu/core.h"
#include "sim/kernel/policy.h"

namespace kpksim::kernel {

class Injector;
class LinearMap;
class Locks;
class TlbFlush;
struct AllocatorInfo;

// What a page table is for.
enum class TableKind : std::uint8_t {
  kUserLeaf,   // of a process, with entries of pages
  kUser,       // of a process, above those
  kKernel,     // of the kernel's own addresses
  kLinearMap,  // of the linear map itself
  kPool,       // not known yet: pages that wait for use
};

// The tables that a window is for. None: whichever will be written.
class Target {
 public:
  Target() = default;
  explicit Target(Pfn table) : tables_{table}, count_(1) {}
  Target(Pfn first, Pfn second) : tables_{first, second}, count_(2) {}

  const Pfn* begin() const { return tables_.data(); }
  const Pfn* end() const { return tables_.data() + count_; }
  bool has(Pfn table) const {
    return (count_ > 0 && tables_[0] == table) || (count_ > 1 && tables_[1] == table);
  }

 private:
  std::array<Pfn, 2> tables_{};
  unsigned count_ = 0;
};

// What a protection works on.
struct ProtectionContext {
  cpu::Machine& machine;
  LinearMap& linear_map;
  TlbFlush& flush;
  Injector& injector;
  // The kernel's memory, and where frames start that the kernel does not know of.
  Pfn memory;
  std::uint64_t frames;
  Pfn beyond;
};

// A store that was refused, and let pass then (soft=on).
struct Violation {
  VirtAddr address;
  unsigned core = 0;
  cpu::CauseId cause = 0;      // what the core was doing
  std::uint64_t syndrome = 0;  // ESR_EL1 (of stage 2 ESR_EL2); on x86-64 the error code
};
struct ProtectionStatistics {
  std::uint64_t violations = 0;
  std::optional<Violation> first = {};
};

class Protection {
 public:
  virtual ~Protection() = default;

  const ProtectionStatistics& statistics() const { return statistics_; }
  void count(const Violation& violation) {
    if (statistics_.violations++ == 0) statistics_.first = violation;
  }

  // Sets the registers that the mechanism needs at boot.
  virtual void boot(mmu::Registers&) const {}
  // `count` pages from `first` on become page tables; or ordinary pages again.
  virtual void mark(cpu::Core&, Pfn /*first*/, std::uint64_t /*count*/, TableKind) {}
  virtual void unmark(cpu::Core&, Pfn /*first*/, std::uint64_t /*count*/) {}
  // The pointer by which the kernel accesses the page table at `linear`, an address of the linear
  // map. Asked if ProtectionInfo::own_pointers.
  virtual VirtAddr pointer_to(cpu::Core&, VirtAddr linear) { return linear; }
  // Around stores to the target's tables. Windows nest: close() gets what open() gave, and puts
  // back what was. `synchronised`: an ISB follows the close anyway.
  virtual std::uint64_t open(cpu::Core&, const Target&) { return 0; }
  virtual void close(cpu::Core&, const Target&, std::uint64_t /*before*/, bool /*synchronised*/) {}
  // Around stores to objects that have a key of their own (sim/kernel/object/): this core may write
  // those with `key`, and no page table. They nest like windows.
  virtual std::uint64_t enter(cpu::Core&, PkeyIndex /*key*/) { return 0; }
  virtual void leave(cpu::Core&, std::uint64_t /*before*/) {}
  // The bits of the key register that let page tables be written: a change of others is no window.
  virtual std::uint64_t window_bits() const { return ~0ull; }
  // Is this value of the key register one of the mechanism's contexts?
  virtual bool is_context(std::uint64_t /*por*/) const { return true; }
  // The register is saved for a thread that stops, or copied for one that is created.
  virtual void save(cpu::Core&) {}
  // Around an exception taken from EL1: the register is saved, and has its value at rest meanwhile.
  // exception_return() gets what exception_entry() gave.
  virtual std::uint64_t exception_entry(cpu::Core&) { return 0; }
  virtual void exception_return(cpu::Core&, std::uint64_t) {}
  // Cores are interleaved: what they share takes locks.
  virtual void set_locks(Locks&) {}
  // Entries that the mechanism itself made while a TLB still held what was there before them.
  virtual std::uint64_t bbm_violations() const { return 0; }

 private:
  ProtectionStatistics statistics_;
};

// What a store meets that a protection refuses.
struct Refusal {
  mmu::FaultKind kind = mmu::FaultKind::kPermission;
  bool overlay = false, stage2 = false;
};

// Each protection that refuses stores has it; sim/kernel/protect/soft_mode.h says what it does.
inline ParameterInfo soft_parameter() {
  ParameterInfo soft = switch_parameter(
      "soft",
      "a store that the protection refuses is counted and let pass, instead of ending the kernel");
  soft.quiet = true;
  return soft;
}

// A combination of parts, as a reason against it looks at it.
struct Combination {
  const Parameters& protection_parameters;
  std::optional<WindowScope> window;
  const AllocatorInfo& allocator;
  Granularity linear_map;
};

// What a core must have beside its architecture.
struct CoreFeature {
  std::string_view name;
  bool cpu::CoreProfile::*has = nullptr;
  std::string_view shipped;  // the profiles that have it
};

struct ProtectionInfo {
  std::string_view name, description;
  int rank = 1;  // in lists
  // What tells a page-table page apart ("a key"); empty: nothing does.
  std::string_view marks = {};
  // Marking rewrites leaves of the linear map, and so splits larger ones.
  bool changes_map = false;
  std::vector<Refusal> refuses = {};
  bool aarch64 = true, x86 = false;
  std::optional<CoreFeature> needs = {};
  // The windows that it can do, the usual one first; none: nothing has to be opened. And why not
  // the others.
  std::vector<WindowScope> windows = {};
  std::string_view other_windows = {};
  // A window is open for every page table, as it is a register's; else for its target alone.
  bool opens_all = true;
  // Outside windows tables cannot be read either.
  bool hides = false;
  // Contexts of any protected classes (kpksim keys) can have keys of its register, unless one of
  // these parameters gives its keys to users of their own.
  bool any_classes = false;
  std::vector<std::string_view> no_classes_with = {};
  // Its pointers to page tables are not plain ones of the linear map.
  bool own_pointers = false;
  std::vector<ParameterInfo> parameters = {};
  // A reason against a combination that the fields above do not say, or an empty text.
  std::string (*against)(const Combination&) = [](const Combination&) { return std::string(); };
  std::unique_ptr<Protection> (*make)(const ProtectionContext&, const Parameters&) = nullptr;
};
// For ProtectionInfo::make: an object of T, from the context, and the parameters if it takes any.
template <class T>
std::unique_ptr<Protection> make_protection_of([[maybe_unused]] const ProtectionContext& context,
                                               [[maybe_unused]] const Parameters& parameters) {
  if constexpr (std::is_constructible_v<T, const ProtectionContext&, const Parameters&>) {
    return std::make_unique<T>(context, parameters);
  } else if constexpr (std::is_constructible_v<T, const ProtectionContext&>) {
    return std::make_unique<T>(context);
  } else {
    return std::make_unique<T>();
  }
}

using Protections = Registry<ProtectionInfo>;

inline constexpr PkeyIndex kPkeyDefault{0};
inline constexpr PkeyIndex kPkeyPgtables{1};
inline constexpr PkeyIndex kPkeyCred{2};

}  // namespace kpksim::kernel
