#include "sim/attack/pointers.h"

#include "sim/kernel/pgtable.h"

namespace kpksim::attack {
namespace {

using mmu::MemoryTag;

constexpr MemoryTag kUntagged(mmu::kTags - 1);  // of 0xffff...
constexpr MemoryTag kFreed(mmu::kTags - 2);     // KASAN_TAG_INVALID

// Does the MMU let every pointer without a tag pass?
bool matches_all(const cpu::Core& core) {
  return mmu::tcr::kTcma1.get(core.mmu().registers().tcr) != 0;
}

}  // namespace

std::optional<MemoryTag> Pointers::take(const std::string& name) {
  named_[name] = {kUntagged};
  if (draw_.kind == TagDraw::Kind::kNone || !draw_.tagged_objects) return std::nullopt;
  const MemoryTag tag(static_cast<std::uint8_t>(random_() % draw_.tags));
  named_[name] = {tag, true};
  return tag;
}

std::optional<MemoryTag> Pointers::freed(const cpu::Core& core) const {
  if (draw_.kind == TagDraw::Kind::kNone || !draw_.tagged_objects) return std::nullopt;
  return matches_all(core) ? kFreed : kUntagged;
}

void Pointers::keep(const std::string& name, PhysAddr at) {
  const MemoryTag tag = memory_.at(at);
  named_[name] = {tag, tag.value < draw_.tags};
}

Pointers::Tag Pointers::tag_of(const Strike& strike, MemoryTag there, const cpu::Core& core) const {
  if (!strike.by.empty()) return named_.at(strike.by);
  if (strike.page.kind == PageRef::Kind::kNamed) return named_.at(strike.page.name);
  if (strike.untagged || there == kUntagged || matches_all(core)) return {kUntagged};
  return {draw_.guess, true};
}

VirtAddr Pointers::to(const Strike& strike, PhysAddr word, const cpu::Core& core) {
  const VirtAddr va = kernel::linear_va(word);
  if (draw_.kind == TagDraw::Kind::kNone) return va;
  const MemoryTag there = memory_.at(word);
  const Tag tag = tag_of(strike, there, core);
  tried_ |= tag.by_chance;
  const bool lucky =
      tag.by_chance && draw_.kind == TagDraw::Kind::kLuckiest && there.value < draw_.tags;
  return mmu::with_logical_tag(va, lucky ? there : tag.value);
}

}  // namespace kpksim::attack
