#pragma once
// The primitives of attackers, done to the model: accesses through the modelled MMU of a core, or
// changes of memory beside it.

#include <map>
#include <optional>

#include "sim/attack/pages.h"
#include "sim/attack/pointers.h"
#include "sim/attack/verdict.h"

namespace kpksim::attack {

class Strokes {
 public:
  Strokes(kernel::Kernel& kernel, Pages& pages, const TagDraw& draw)
      : kernel_(kernel), pages_(pages), pointers_(kernel.system().machine.memory().tags(), draw) {}

  // What the strike does on this core; nothing for the steps that prepare others. InputError,
  // without a place: it cannot be done at that moment.
  std::optional<Blow> strike(const Strike& strike, cpu::Core& core);

  // InputError, as strike() would give it now.
  void check(const Strike& strike) const;

  // The first word within `extent` that a strike has written or flipped, and what it has now.
  struct Change {
    PhysAddr word;
    std::uint64_t value = 0;
  };
  std::optional<Change> change_in(const Extent& extent) const;
  bool tag_tried() const { return pointers_.tag_tried(); }
  // A task's root is another one than its mm has: no switch may put that back.
  bool root_forged() const { return root_forged_; }

 private:
  std::uint64_t value_of(const Forged& forged) const;
  void take(const Strike& strike, cpu::Core& core, Blow& out);
  void free(const Strike& strike, cpu::Core& core, Blow& out);
  mmu::Fault store_tags(const Strike& strike, cpu::Core& core, Pfn first, mmu::MemoryTag tag) const;
  void map_user(const Strike& strike, cpu::Core& core);
  void note_walk(const cpu::Core& core, VirtAddr va, const poe::Access& access, Blow& out) const;
  void note_page(Pfn page, Blow& out) const;
  void note_tags(const cpu::Core& core, VirtAddr va, PhysAddr word, Blow& out) const;
  // Each sets what the blow met, and returns the word that it hit, if it got so far.
  std::optional<PhysAddr> access(const Strike& strike, cpu::Core& core, std::uint64_t value,
                                 Blow& out);
  std::optional<PhysAddr> user_write(const Strike& strike, cpu::Core& core, std::uint64_t value,
                                     Blow& out);
  void alias_write(const Strike& strike, cpu::Core& core, PhysAddr word, std::uint64_t value,
                   Blow& out);
  mmu::PhysicalMemory& memory() const { return kernel_.system().machine.memory(); }

  kernel::Kernel& kernel_;
  Pages& pages_;
  Pointers pointers_;
  std::map<PhysAddr, std::uint64_t> changes_;
  bool root_forged_ = false;
};

}  // namespace kpksim::attack
