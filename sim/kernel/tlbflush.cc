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
  if (site != options_.left_out) core.tlbi(op, xt);
}

void TlbFlush::sync(cpu::Core& core, FlushSite site) const {
  core.dsb_ish();
  if (!options_.repeat) return;
  issue(core, site, {TlbiKind::kVale1}, 0);
  core.dsb_ish();
}

void TlbFlush::mm(cpu::Core& core, FlushSite site, Asid asid) {
  const std::uint64_t operand = mmu::encode_va(VirtAddr(0), asid, 0);
  if (options_.shootdowns) return shoot_down(core, site, TlbiKind::kAside1, {operand}, asid);
  core.dsb_ishst();
  issue(core, site, {TlbiKind::kAside1}, operand);
  sync(core, site);
}

void TlbFlush::page(cpu::Core& core, FlushSite site, Asid asid, VirtAddr va) {
  if (options_.shootdowns) {
    return shoot_down_range(core, site, asid, va, va + kPageSize, kPageSize);
  }
  core.dsb_ishst();
  issue(core, site, {TlbiKind::kVale1}, mmu::encode_va(va, asid, 0));
  sync(core, site);
}

void TlbFlush::page_pending(cpu::Core& core, FlushSite site, Asid asid, VirtAddr va) {
  if (options_.shootdowns) return page(core, site, asid, va);
  core.dsb_ishst();
  issue(core, site, {TlbiKind::kVale1}, mmu::encode_va(va, asid, 0));
}

// __flush_tlb_range_op(): an odd page by itself, then from the largest scale down.
void TlbFlush::operations(cpu::Core& core, FlushSite site, TlbiKind by_page, TlbiKind by_range,
                          Asid asid, VirtAddr start, std::uint64_t pages, std::uint64_t stride,
                          unsigned level) const {
  for (unsigned scale = 3; pages > 0;) {
    if (!options_.range_operations || pages == 1) {
      issue(core, site, {by_page}, mmu::encode_va(start, asid, level));
      start += stride;
      pages -= std::min(pages, stride >> kPageShift);
      continue;
    }
    // __TLBI_RANGE_NUM: how many units of 2^(5*scale+1) pages, at most 32
    const unsigned shift = 5 * scale + 1;
    const std::uint64_t units = std::min<std::uint64_t>(pages >> shift, 32);
    if (units > 0) {
      issue(core, site, {by_range},
            mmu::encode_range(start, asid, scale, static_cast<unsigned>(units - 1), level));
      start += units << shift << kPageShift;
      pages -= units << shift;
    }
    --scale;
  }
}

// __flush_tlb_range_limit_excess()
bool TlbFlush::excess(std::uint64_t bytes, std::uint64_t stride) const {
  return (!options_.range_operations && bytes >= kMaxDvmOps * stride) ||
         bytes >> kPageShift > kMaxRangePages;
}

void TlbFlush::range(cpu::Core& core, FlushSite site, Asid asid, VirtAddr start, VirtAddr end,
                     std::uint64_t stride, bool last_level, unsigned level) {
  if (options_.shootdowns) return shoot_down_range(core, site, asid, start, end, stride);
  const VirtAddr from(align_down(start.value, stride));
  const std::uint64_t bytes = align_up(end.value, stride) - from.value;
  const std::uint64_t pages = bytes >> kPageShift;
  if (excess(bytes, stride)) {
    mm(core, site, asid);
    sync(core, site);  // the caller's own, though nothing is left to wait for
    return;
  }
  core.dsb_ishst();
  operations(core, site, last_level ? TlbiKind::kVale1 : TlbiKind::kVae1,
             last_level ? TlbiKind::kRvale1 : TlbiKind::kRvae1, asid, from, pages, stride, level);
  sync(core, site);
}

void TlbFlush::kernel_range(cpu::Core& core, FlushSite site, VirtAddr start, VirtAddr end) {
  if (options_.shootdowns) {
    return shoot_down_range(core, site, std::nullopt, start, end, kPageSize);
  }
  const std::uint64_t pages = (end - start) >> kPageShift;
  core.dsb_ishst();
  if (options_.kernel_range ? excess(end - start, kPageSize) : pages > kMaxDvmOps) {
    issue(core, site, {TlbiKind::kVmalle1}, 0);
  } else if (options_.kernel_range) {
    operations(core, site, TlbiKind::kVaale1, TlbiKind::kRvaale1, Asid(0), start, pages, kPageSize,
               0);
  } else {
    for (VirtAddr at = start; at < end; at += kPageSize) {
      issue(core, site, {TlbiKind::kVaale1}, mmu::encode_va(at, Asid(0), 0));
    }
  }
  sync(core, site);
  core.isb();
}

void TlbFlush::local_all(cpu::Core& core, FlushSite site) {
  issue(core, site, {TlbiKind::kVmalle1, Domain::kLocal}, 0);
  core.dsb_nsh();
  core.isb();
}

}  // namespace kpksim::kernel
