#pragma once
// The logical tags of the pointers that an attacker stores by, under policies with memory tagging.
// Whether a tag passes is decided by the MMU (sim/mmu/tag_check.h), never here.
//
// - A pointer to an object has what the kernel gave it when the object was taken: no tag, which is
//   0b1111 (0xffff... is the kernel's half), or the object's own where objects have tags. It keeps
//   that when it dangles: what the page has become later does not matter to it.
// - What is reached from such a pointer, by an index that is wrong, is reached with its tag.
// - An address that was made up has the tag that the attacker chooses: none where the MMU lets that
//   pass everywhere (TCR_EL1.TCMA1) or the kernel itself reaches this memory without a tag; else
//   one of those in use is guessed.

#include <map>
#include <optional>
#include <random>
#include <string>

#include "sim/attack/scenario.h"
#include "sim/cpu/core.h"
#include "sim/mmu/allocation_tags.h"

namespace kpksim::attack {

// How tags fall in one run.
struct TagDraw {
  enum class Kind : std::uint8_t {
    kNone,      // the policy has no tags
    kLuckiest,  // a tag that was drawn or guessed is the right one wherever it could be
    kDrawn,
  } kind = Kind::kNone;
  mmu::MemoryTag guess{0};      // of kDrawn: of addresses that are made up
  std::uint64_t seed = 0;       // of kDrawn: of objects' tags
  std::uint64_t tags = 14;      // so many are in use, from 0 on
  bool tagged_objects = false;  // what the kernel takes for objects has tags (KASAN_HW_TAGS)
};

class Pointers {
 public:
  Pointers(const mmu::AllocationTags& memory, const TagDraw& draw)
      : memory_(memory), draw_(draw), random_(draw.seed) {}

  // The kernel takes pages for an object: the tag that it stores to them, if any.
  std::optional<mmu::MemoryTag> take(const std::string& name);
  // The tag that freed pages of objects get, if any: of no pointer, and where the kernel's own
  // pointers without a tag have to reach them still, theirs.
  std::optional<mmu::MemoryTag> freed(const cpu::Core& core) const;
  // The attacker has a copy of the kernel's pointer to what lies at `at` now.
  void keep(const std::string& name, PhysAddr at);
  // By which the strike reaches `word` through the linear map.
  VirtAddr to(const Strike& strike, PhysAddr word, const cpu::Core& core);

  // One had a tag of which another draw decides.
  bool tag_tried() const { return tried_; }

 private:
  struct Tag {
    mmu::MemoryTag value;
    bool by_chance = false;
  };
  Tag tag_of(const Strike& strike, mmu::MemoryTag there, const cpu::Core& core) const;

  const mmu::AllocationTags& memory_;
  const TagDraw draw_;
  std::mt19937_64 random_;
  std::map<std::string, Tag> named_;
  bool tried_ = false;
};

}  // namespace kpksim::attack
