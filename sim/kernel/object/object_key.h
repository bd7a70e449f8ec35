#pragma once
// Access to objects of a class that has a key of its own, or none: loads are plain, stores stand in
// a guarded section that lets this core write the class and nothing else that is protected.
//
// Sections nest: one inside another of the same class finds its rights there, and writes no
// register (the credentials series: a value that would not change is not written, and the leave
// does nothing).

#include <cstdint>
#include <optional>

#include "sim/kernel/pgtable.h"
#include "sim/kernel/protect/protection.h"

namespace kpksim::kernel {

class ObjectKey {
 public:
  // No key: ordinary memory, whose sections do nothing and are not counted. `guard`: instructions
  // of a section.
  ObjectKey(Protection& protection, std::optional<PkeyIndex> key, std::uint64_t guard)
      : protection_(protection), key_(key), guard_(guard) {}

  std::uint64_t sections() const { return sections_; }
  std::uint64_t switches() const { return switches_; }  // writes of the register

  class Section {
   public:
    Section(ObjectKey& key, cpu::Core& core) : key_(key), core_(core), before_(key.enter(core)) {}
    ~Section() { key_.leave(core_, before_); }
    Section(const Section&) = delete;
    Section& operator=(const Section&) = delete;

    // No interrupt comes between this and what stands before it. KernelOops where it is refused.
    void store(PhysAddr word, std::uint64_t value);

   private:
    ObjectKey& key_;
    cpu::Core& core_;
    std::uint64_t before_;
  };

  // KernelOops where it is refused.
  static std::uint64_t load(cpu::Core& core, PhysAddr word);

 private:
  std::uint64_t enter(cpu::Core& core);
  void leave(cpu::Core& core, std::uint64_t before);

  Protection& protection_;
  const std::optional<PkeyIndex> key_;
  const std::uint64_t guard_;
  std::uint64_t sections_ = 0, switches_ = 0;
};

}  // namespace kpksim::kernel
