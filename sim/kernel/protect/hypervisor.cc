// The hypervisor writes page tables for the kernel, which asks it to by HVC: with entry windows one
// call for each entry, with wider ones one for all entries of the window (Xen's mmu_update and its
// batches in lazy MMU mode; RKP calls for each entry). It looks at each entry before it writes it.
//
// How the model's order of stores differs: in a wider window the kernel would put entries into a
// queue, read its own entries through it, and the tables change at the call that closes the window.
// Here they change at once, and the call is counted when the window closes. That may be done
// because nothing looks at the tables in between: the window's lock is held, TLBIs stand behind its
// end (or, as in ptep_clear_flush(), behind an entry window), no hardware update takes part, and a
// walk of another core that finds the old entry is as right as one that finds the new one. Where a
// window would flush in its middle, a real kernel needs one call more.
//
// Between open() and close() stores of that core are the hypervisor's, which stage 2 does not
// check. So a stray store inside a window is let through here, where a real one would be refused:
// the kernel itself never has the right.

#include "sim/kernel/protect/hypervisor.h"

#include <vector>

namespace kpksim::kernel {
namespace {

class Hypervisor final : public Protection {
 public:
  Hypervisor(const ProtectionContext& context, const Parameters& parameters)
      : hypervised_(context, parameters),
        batch_(parameters.number("batch")),
        check_(parameters.number("check")),
        queues_(context.machine.core_count()) {}

  void boot(mmu::Registers& regs) const override { hypervised_.boot(regs); }
  std::uint64_t bbm_violations() const override { return hypervised_.bbm_violations(); }
  void set_locks(Locks& locks) override { hypervised_.set_locks(locks); }
  void mark(cpu::Core& core, Pfn first, std::uint64_t count, TableKind) override {
    hypervised_.set_writable(core, first, count, false);
  }
  void unmark(cpu::Core& core, Pfn first, std::uint64_t count) override {
    hypervised_.set_writable(core, first, count, true);
  }
  std::uint64_t open(cpu::Core& core, const Target&) override {
    Queue& queue = queues_[core.id()];
    if (queue.open) return kJoins;
    begin(core, 0);
    return kOwn;
  }
  void close(cpu::Core& core, const Target&, std::uint64_t window, bool) override {
    if (window == kJoins) return;
    const std::uint64_t entries = end(core);
    for (std::uint64_t sent = 0; sent < entries; sent += batch_) core.hvc();
    core.execute(entries * check_);
  }
  // The queue waits; the exception's own writes are not its.
  std::uint64_t exception_entry(cpu::Core& core) override {
    return queues_[core.id()].open ? 1 + end(core) : 0;
  }
  void exception_return(cpu::Core& core, std::uint64_t waiting) override {
    if (waiting != 0) begin(core, waiting - 1);
  }

 private:
  static constexpr std::uint64_t kOwn = 0, kJoins = 1;
  // Of one core: is a window open, and how much had been written when its queue was empty?
  struct Queue {
    bool open = false;
    std::uint64_t written = 0;
  };

  // Entries and whole pages, zeroed by one request each.
  static std::uint64_t written(const cpu::Core& core) {
    return core.happened(cpu::Event::kStore) + core.happened(cpu::Event::kPageZero);
  }
  void begin(cpu::Core& core, std::uint64_t waiting) {
    queues_[core.id()] = {true, written(core) - waiting};
    core.mmu().set_stage2_checked(false);
  }
  // Returns how many entries wait in the queue.
  std::uint64_t end(cpu::Core& core) {
    core.mmu().set_stage2_checked(true);
    Queue& queue = queues_[core.id()];
    queue.open = false;
    return written(core) - queue.written;
  }

  Hypervised hypervised_;
  const std::uint64_t batch_, check_;
  std::vector<Queue> queues_;
};

const Protections::Entry hypervisor_entry{{
    .name = "hypervisor",
    .description = "page tables are read-only at stage 2, and a hypervisor writes them when called",
    .rank = 2,
    .marks = "stage 2",
    .refuses = {{.stage2 = true}},
    .windows = {WindowScope::kEntry, WindowScope::kLazy, WindowScope::kLock},
    .parameters = {{"batch", "entries", "that one call takes at most", "256",
                    ParameterInfo::Kind::kNumber, 1, 1 << 20},
                   {"check", "instructions", "of the hypervisor for each entry that it writes",
                    "40"},
                   mark_parameter(),
                   soft_parameter()},
    .make = make_protection_of<Hypervisor>,
}};

}  // namespace
}  // namespace kpksim::kernel
