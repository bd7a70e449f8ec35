#include "sim/kernel/tlbflush.h"

#include <algorithm>

namespace kpksim::kernel {
namespace {

using mmu::Domain;
using mmu::TlbiKind;

constexpr std::uint64_t kMaxDvmOps = 512;             // MAX_DVM_OPS: entries of one table
constexpr std::uint64_t kMaxRangePages = 1ull << 21;  // MAX_TLBI_RANGE_PAGES

}  // namespace

void TlbFlush::issue(cpu::Core& core, FlushSite site, mmu::TlbiOp op, std::uint64_t xt) const {
  if (site != left_out_) core.tlbi(op, xt);
}

void TlbFlush::mm(cpu::Core& core, FlushSite site, Asid asid) {
  core.dsb_ishst();
  issue(core, site, {TlbiKind::kAside1}, mmu::encode_va(VirtAddr(0), asid, 0));
  core.dsb_ish();
}

void TlbFlush::page(cpu::Core& core, FlushSite site, Asid asid, VirtAddr va) {
  core.dsb_ishst();
  issue(core, site, {TlbiKind::kVale1}, mmu::encode_va(va, asid, 0));
  core.dsb_ish();
}

void TlbFlush::range(cpu::Core& core, FlushSite site, Asid asid, VirtAddr start, VirtAddr end,
                     std::uint64_t stride, bool last_level, unsigned level) {
  VirtAddr at(align_down(start.value, stride));
  const std::uint64_t bytes = align_up(end.value, stride) - at.value;
  std::uint64_t pages = bytes >> kPageShift;
  if ((!range_ && bytes >= kMaxDvmOps * stride) || pages > kMaxRangePages) {
    mm(core, site, asid);
    return;
  }
  core.dsb_ishst();
  const mmu::TlbiOp by_page{last_level ? TlbiKind::kVale1 : TlbiKind::kVae1};
  const mmu::TlbiOp by_range{last_level ? TlbiKind::kRvale1 : TlbiKind::kRvae1};
  for (int scale = 3; pages > 0;) {
    if (!range_ || pages == 1) {
      issue(core, site, by_page, mmu::encode_va(at, asid, level));
      at += stride;
      pages -= std::min(pages, stride >> kPageShift);
      continue;
    }
    // __TLBI_RANGE_NUM: how many units of 2^(5*scale+1) pages, at most 32
    const auto s = static_cast<unsigned>(scale);
    const std::uint64_t units = std::min<std::uint64_t>(pages >> (5 * s + 1), 32);
    if (units > 0) {
      issue(core, site, by_range,
            mmu::encode_range(at, asid, s, static_cast<unsigned>(units - 1), level));
      const std::uint64_t covered = units << (5 * s + 1);
      at += covered << kPageShift;
      pages -= covered;
    }
    --scale;
  }
  core.dsb_ish();
}

void TlbFlush::kernel_range(cpu::Core& core, FlushSite site, VirtAddr start, VirtAddr end) {
  core.dsb_ishst();
  if ((end - start) >> kPageShift > kMaxDvmOps) {
    issue(core, site, {TlbiKind::kVmalle1}, 0);
  } else {
    for (VirtAddr at = start; at < end; at += kPageSize) {
      issue(core, site, {TlbiKind::kVaale1}, mmu::encode_va(at, Asid(0), 0));
    }
  }
  core.dsb_ish();
  core.isb();
}

void TlbFlush::local_all(cpu::Core& core, FlushSite site) {
  issue(core, site, {TlbiKind::kVmalle1, Domain::kLocal}, 0);
  core.dsb_nsh();
}

}  // namespace kpksim::kernel
