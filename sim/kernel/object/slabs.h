#pragma once
// A slab cache of one kind of object (mm/slub.c), as far as its stores matter: a slab is a page,
// whose free objects are a list that lies in the objects themselves. So an allocation reads, and a
// free writes, what may be protected. Slabs with free objects are tried from the first on. One that
// becomes empty goes back if enough others have room.

#include <cstdint>
#include <list>
#include <map>

#include "sim/kernel/object/object_key.h"
#include "sim/kernel/object/slab_pages.h"

namespace kpksim::kernel {

class Slabs {
 public:
  // `bytes`: of an object, with its alignment. `free_pointer`: where in a free one the next stands.
  Slabs(ObjectKey& key, SlabPages& pages, std::uint64_t bytes, std::uint64_t free_pointer)
      : key_(key), pages_(pages), bytes_(bytes), free_pointer_(free_pointer) {}

  // May sleep. What the object has is left over from its last life.
  PhysAddr allocate(cpu::Core& core);
  void free(cpu::Core& core, PhysAddr object);

  std::uint64_t made() const { return made_; }
  std::uint64_t gone() const { return gone_; }
  std::uint64_t live() const { return live_; }  // objects

 private:
  static constexpr std::size_t kMinPartial = 5;  // MIN_PARTIAL

  struct Slab {
    PhysAddr first_free{0};  // 0: none
    std::uint64_t used = 0;
  };
  void make_slab(cpu::Core& core);

  ObjectKey& key_;
  SlabPages& pages_;
  const std::uint64_t bytes_, free_pointer_;
  std::map<Pfn, Slab> slabs_;
  std::list<Pfn> partial_;  // with free objects
  std::uint64_t made_ = 0, gone_ = 0, live_ = 0;
};

}  // namespace kpksim::kernel
