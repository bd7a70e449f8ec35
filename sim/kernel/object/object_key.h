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

// Who opens and closes the sections of objects whose class has rights from elsewhere, beside the
// protection's own two keys.
class ObjectSections {
 public:
  virtual ~ObjectSections() = default;
  // Have its objects a key now? Without one a section opens nothing.
  virtual bool keyed() const = 0;
  // They nest; leave() gets what enter() gave.
  virtual std::uint64_t enter(cpu::Core& core) = 0;
  virtual void leave(cpu::Core& core, std::uint64_t before) = 0;
};

class ObjectKey {
 public:
  // No key: ordinary memory, whose sections do nothing and are not counted. `guard`: instructions
  // of a section.
  ObjectKey(Protection& protection, std::optional<PkeyIndex> key, std::uint64_t guard, Taps& taps)
      : protection_(&protection), key_(key), guard_(guard), taps_(taps) {}
  // The class decides about key and rights.
  ObjectKey(ObjectSections& of, std::uint64_t guard, Taps& taps)
      : of_(&of), guard_(guard), taps_(taps) {}

  std::uint64_t sections() const { return sections_; }
  std::uint64_t switches() const { return switches_; }  // writes of the register

  // What is to be put back; nothing if a fault was injected.
  using Before = std::optional<std::uint64_t>;

  class Section {
   public:
    Section(ObjectKey& key, cpu::Core& core) : key_(key), core_(core), before_(key.enter(core)) {}
    ~Section() { key_.leave(core_, before_, page_); }
    Section(const Section&) = delete;
    Section& operator=(const Section&) = delete;

    // No interrupt comes between this and what stands before it. KernelOops where it is refused.
    void store(PhysAddr word, std::uint64_t value);

   private:
    ObjectKey& key_;
    cpu::Core& core_;
    const Before before_;
    std::optional<Pfn> page_;  // of what was stored
  };

  // KernelOops where it is refused.
  static std::uint64_t load(cpu::Core& core, PhysAddr word);

 private:
  Before enter(cpu::Core& core);
  void leave(cpu::Core& core, const Before& before, std::optional<Pfn> page);
  void put_back(cpu::Core& core, const Before& before);

  bool keyed() const { return of_ != nullptr ? of_->keyed() : key_.has_value(); }

  Protection* protection_ = nullptr;  // with a key of its own, or none
  std::optional<PkeyIndex> key_;
  ObjectSections* of_ = nullptr;
  std::uint64_t guard_;
  Taps& taps_;
  std::uint64_t sections_ = 0, switches_ = 0;
};

}  // namespace kpksim::kernel
