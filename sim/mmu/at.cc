#include "sim/mmu/at.h"

#include "sim/mmu/mmu.h"

namespace kpksim::mmu {
namespace {

constexpr std::uint64_t kOuterShareable = 0b10;

constexpr std::uint64_t kDeviceNGnRnE = 0;  // attribute of data with stage 1 off

// Device memory and Normal Non-cacheable are reported as Outer Shareable, whatever the descriptor.
bool always_outer_shareable(std::uint64_t attribute) {
  return (attribute & 0xf0) == 0 || attribute == 0x44;
}

}  // namespace

std::uint64_t par_of(const Mmu& mmu, AtOp op, VirtAddr va, bool pan) {
  const AtInfo& what = info(op);
  Leaf leaf;
  const Translation t = mmu.peek(va, what.access, what.uses_pan && pan, &leaf, Mmu::Stages::kFirst);
  std::uint64_t result = par::kRes1.mask();
  if (t.fault) {
    result = par::kF.set(result, 1);
    result = par::kFst.set(result, status_of(t.fault));
    result = par::kOverlay.set(result, t.fault.overlay ? 1 : 0);
    return par::kDirtyBit.set(result, t.fault.dirty ? 1 : 0);
  }
  const auto index = static_cast<unsigned>(field::kAttrIndx.get(leaf.descriptor.raw));
  const std::uint64_t attribute =
      mmu.enabled() ? (mmu.registers().mair >> (8 * index)) & 0xff : kDeviceNGnRnE;
  result = par::kPa.set(result, t.pa.value >> kPageShift);
  result = par::kAttr.set(result, attribute);
  return par::kSh.set(result, always_outer_shareable(attribute)
                                  ? kOuterShareable
                                  : field::kShareability.get(leaf.descriptor.raw));
}

}  // namespace kpksim::mmu
