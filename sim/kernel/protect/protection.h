#pragma once
// A protection mechanism: what a write to a page table costs and when it is possible. One file per
// mechanism in this folder; protection.cc lists them by name.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/types.h"
#include "sim/cpu/core.h"

namespace kpksim::kernel {

class Protection {
 public:
  virtual ~Protection() = default;

  // Sets the registers that the mechanism needs at boot.
  virtual void boot(mmu::Registers& regs) const = 0;
  // Around each page-table entry written outside a batched lazy MMU section.
  virtual void begin_write(cpu::Core& core) = 0;
  virtual void end_write(cpu::Core& core) = 0;
  // Around a lazy MMU section. `synchronised`: an ISB follows the leave anyway.
  virtual void enter_lazy(cpu::Core& core) = 0;
  virtual void leave_lazy(cpu::Core& core, bool synchronised) = 0;
  // The register is saved for a thread that stops, or copied for one that is created.
  virtual void save(cpu::Core&) {}
  // Around an exception taken from EL1: the register is saved, and the level is the default one
  // meanwhile. exception_return() gets what exception_entry() gave.
  virtual std::uint64_t exception_entry(cpu::Core&) { return 0; }
  virtual void exception_return(cpu::Core&, std::uint64_t) {}
  // True if the lazy section itself keeps the window open, so that writes inside need none.
  virtual bool batches() const = 0;
  // True if page-table pages carry a key of their own in the linear map.
  virtual bool keys_pages() const = 0;
};

inline constexpr PkeyIndex kPkeyDefault{0};
inline constexpr PkeyIndex kPkeyPgtables{1};

struct PolicyInfo {
  std::string_view name, description;
};
const std::vector<PolicyInfo>& protections();
// InputError for an unknown name.
std::unique_ptr<Protection> make_protection(const std::string& name, bool batching);

std::unique_ptr<Protection> make_none();
std::unique_ptr<Protection> make_kpkeys_poe(bool batching);
std::unique_ptr<Protection> make_kpkeys_pks(bool batching);

}  // namespace kpksim::kernel
