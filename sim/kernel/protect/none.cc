// No protection: the baseline that the others are compared with.

#include "sim/kernel/protect/protection.h"

namespace kpksim::kernel {
namespace {

class None final : public Protection {
 public:
  void boot(mmu::Registers&) const override {}
  void begin_write(cpu::Core&) override {}
  void end_write(cpu::Core&) override {}
  void enter_lazy(cpu::Core&) override {}
  void leave_lazy(cpu::Core&, bool) override {}
  bool batches() const override { return false; }
  bool keys_pages() const override { return false; }
};

}  // namespace

std::unique_ptr<Protection> make_none() { return std::make_unique<None>(); }

}  // namespace kpksim::kernel
