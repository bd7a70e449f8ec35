#include "sim/kernel/tlbflush.h"

#include <algorithm>
#include <utility>

#include "sim/kernel/x86_tlb.h"

namespace kpksim::kernel {
namespace {

using mmu::Domain;
using mmu::TlbiKind;

constexpr std::uint64_t kMaxDvmOps = 512;             // MAX_DVM_OPS: entries of one table
constexpr std::uint64_t kMaxRangePages = 1ull << 21;  // MAX_TLBI_RANGE_PAGES

}  // namespace

TlbFlush::TlbFlush(const FlushOptions& options, Taps& taps) : options_(options), taps_(taps) {
  if (options.x86_cores == 0) return;
  x86_ = std::make_unique<X86Tlb>(options.x86_cores, options.reach == Reach::kInvlpgb,
                                  taps.injector, calls_);
}
TlbFlush::~TlbFlush() = default;

// On x86-64 there is one operation for all of a flush, which can be skipped. What the other cores
// do until now they do with the entries that they have.
X86Tlb& TlbFlush::x86_of(cpu::Core& core, FlushSite site) {
  see(core, site, FlushMoment::kChanged);
  core.turn();
  x86_->leave_out(taps_.injector.skips(tlbi_of(site)));
  return *x86_;
}

TlbFlush::Flush TlbFlush::make(cpu::Core& core, FlushSite site) {
  if (taps_.observer != nullptr) taps_.observer->flushing(core, site);
  see(core, site, FlushMoment::kChanged);
  return {site, taps_.injector.next(tlbi_of(site))};
}

void TlbFlush::publish(cpu::Core& core, FlushSite site) {
  taps_.injector.at(core, dsb_before(site), [](cpu::Core& on) { on.dsb_ishst(); });
}

void TlbFlush::wait(cpu::Core& core, FlushSite site, void (cpu::Core::*dsb)()) {
  taps_.injector.at(core, dsb_after(site), [dsb](cpu::Core& on) { (on.*dsb)(); });
}

TlbFlush::Flush TlbFlush::begin(cpu::Core& core, FlushSite site, const AddressSpace& space) {
  Flush flush = make(core, site);
  if (options_.reach == Reach::kLocalIfAlone && space.alone_on == core.id()) {
    flush.domain = Domain::kLocal;
    taps_.injector.at(core, dsb_before(site), [](cpu::Core& on) { on.dsb_ish_after_stores(); });
    return flush;
  }
  publish(core, site);
  if (options_.reach == Reach::kDomain) flush.cores = &space.ran_on;
  if (options_.reach == Reach::kIpi) noted(core).cores.add(space.ran_on);
  return flush;
}

TlbFlush::Flush TlbFlush::begin_kernel(cpu::Core& core, FlushSite site) {
  const Flush flush = make(core, site);
  publish(core, site);
  if (options_.reach == Reach::kIpi) {
    for (unsigned c = 0; c < core.machine().core_count(); ++c) noted(core).cores.add(c);
  }
  return flush;
}

void TlbFlush::issue(cpu::Core& core, const Flush& flush, TlbiKind kind, std::uint64_t operand) {
  noted(core).issued = true;
  if (flush.fault == FaultAction::kNone) [[likely]]
    return execute(core, flush, kind, operand);
  const mmu::TlbiOp op{kind, flush.domain};
  const cpu::CoreSet only = flush.cores == nullptr ? cpu::CoreSet() : *flush.cores;
  const bool all = flush.cores == nullptr;
  taps_.injector.put_off(core, flush.fault, [op, operand, only, all](cpu::Core& on) {
    on.tlbi(op, operand, all ? nullptr : &only);
  });
}

void TlbFlush::execute(cpu::Core& core, const Flush& flush, TlbiKind kind, std::uint64_t operand) {
  if (options_.reach == Reach::kIpi) {
    noted(core).operations.push_back({kind, operand});
  } else {
    core.tlbi({kind, flush.domain}, operand, flush.cores);
  }
}

void TlbFlush::sync(cpu::Core& core, const Flush& flush) {
  if (std::exchange(noted(core).issued, false)) see(core, flush.site, FlushMoment::kOutstanding);
  if (options_.reach == Reach::kIpi) return interrupt(core);
  if (flush.domain == Domain::kLocal) return wait(core, flush.site, &cpu::Core::dsb_nsh);
  wait(core, flush.site, &cpu::Core::dsb_ish);
  if (!options_.repeat) return;
  issue(core, flush, TlbiKind::kVale1, 0);
  core.dsb_ish();
}

// on_each_cpu_mask()
void TlbFlush::interrupt(cpu::Core& core) {
  const Noted flush = std::exchange(noted(core), {});
  const auto execute = [&](cpu::Core& on) {
    for (const Operation& op : flush.operations) on.tlbi({op.kind, Domain::kLocal}, op.operand);
    on.dsb_nsh();
  };
  execute(core);
  calls_.on_others(core, flush.cores, CrossCalls::Sent::kOneByOne, execute);
}

void TlbFlush::mm(cpu::Core& core, FlushSite site, AddressSpace& space) {
  if (x86_) return x86_of(core, site).flush_mm(core, space);
  const Flush flush = begin(core, site, space);
  issue(core, flush, TlbiKind::kAside1, mmu::encode_va(VirtAddr(0), space.asid, 0));
  sync(core, flush);
}

void TlbFlush::page(cpu::Core& core, FlushSite site, AddressSpace& space, VirtAddr va) {
  if (x86_)
    return x86_of(core, site).flush_range(core, space, va, va + kPageSize, kPageSize, false);
  const Flush flush = begin(core, site, space);
  issue(core, flush, TlbiKind::kVale1, mmu::encode_va(va, space.asid, 0));
  sync(core, flush);
}

void TlbFlush::page_pending(cpu::Core& core, FlushSite site, AddressSpace& space, VirtAddr va) {
  if (x86_) return x86_of(core, site).add_pending(core, space);
  const Flush flush = begin(core, site, space);
  issue(core, flush, TlbiKind::kVale1, mmu::encode_va(va, space.asid, 0));
}

// A DSB ISH waits for local operations too.
void TlbFlush::pending_done(cpu::Core& core, FlushSite site) {
  if (x86_) return x86_of(core, site).flush_pending(core);
  sync(core, {site});
}

// __flush_tlb_range_op(): an odd page by itself, then from the largest scale down.
void TlbFlush::operations(cpu::Core& core, const Flush& flush, TlbiKind by_page, TlbiKind by_range,
                          Asid asid, VirtAddr start, std::uint64_t pages, std::uint64_t stride,
                          unsigned level) {
  for (unsigned scale = 3; pages > 0;) {
    if (!options_.range_operations || pages == 1) {
      issue(core, flush, by_page, mmu::encode_va(start, asid, level));
      start += stride;
      pages -= std::min(pages, stride >> kPageShift);
      continue;
    }
    // __TLBI_RANGE_NUM: how many units of 2^(5*scale+1) pages, at most 32
    const unsigned shift = 5 * scale + 1;
    const std::uint64_t units = std::min<std::uint64_t>(pages >> shift, 32);
    if (units > 0) {
      issue(core, flush, by_range,
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

void TlbFlush::range(cpu::Core& core, FlushSite site, AddressSpace& space, VirtAddr start,
                     VirtAddr end, std::uint64_t stride, bool last_level, unsigned level) {
  if (x86_) return x86_of(core, site).flush_range(core, space, start, end, stride, !last_level);
  const VirtAddr from(align_down(start.value, stride));
  const std::uint64_t bytes = align_up(end.value, stride) - from.value;
  const std::uint64_t pages = bytes >> kPageShift;
  if (excess(bytes, stride)) {
    mm(core, site, space);
    sync(core, {site});  // the caller's own, though nothing is left to wait for
    return;
  }
  const Flush flush = begin(core, site, space);
  operations(core, flush, last_level ? TlbiKind::kVale1 : TlbiKind::kVae1,
             last_level ? TlbiKind::kRvale1 : TlbiKind::kRvae1, space.asid, from, pages, stride,
             level);
  sync(core, flush);
}

void TlbFlush::kernel_range(cpu::Core& core, FlushSite site, VirtAddr start, VirtAddr end) {
  if (x86_) return x86_of(core, site).flush_kernel_range(core, start, end);
  const std::uint64_t pages = (end - start) >> kPageShift;
  const Flush flush = begin_kernel(core, site);
  if (options_.kernel_range ? excess(end - start, kPageSize) : pages > kMaxDvmOps) {
    issue(core, flush, TlbiKind::kVmalle1, 0);
  } else if (options_.kernel_range) {
    operations(core, flush, TlbiKind::kVaale1, TlbiKind::kRvaale1, Asid(0), start, pages, kPageSize,
               0);
  } else {
    for (VirtAddr at = start; at < end; at += kPageSize) {
      issue(core, flush, TlbiKind::kVaale1, mmu::encode_va(at, Asid(0), 0));
    }
  }
  sync(core, flush);
  taps_.injector.at(core, FaultSite::kIsbKernelRange, [](cpu::Core& on) { on.isb(); });
}

void TlbFlush::kernel_table(cpu::Core& core, FlushSite site, VirtAddr va) {
  const Flush flush = begin_kernel(core, site);
  issue(core, flush, TlbiKind::kVaae1, mmu::encode_va(va, Asid(0), 0));
  sync(core, flush);
  taps_.injector.at(core, FaultSite::kIsbKernelRange, [](cpu::Core& on) { on.isb(); });
}

void TlbFlush::all(cpu::Core& core, FlushSite site) { x86_of(core, site).flush_all(core); }

void TlbFlush::linear_range(cpu::Core& core, FlushSite site, VirtAddr start, VirtAddr end) {
  x86_of(core, site).flush_pages(core, start, end);
}

void TlbFlush::local_all(cpu::Core& core, FlushSite site) {
  Flush flush = make(core, site);
  flush.domain = Domain::kLocal;
  if (flush.fault == FaultAction::kNone) {
    core.tlbi({TlbiKind::kVmalle1, Domain::kLocal}, 0);
  } else {
    issue(core, flush, TlbiKind::kVmalle1, 0);
  }
  wait(core, site, &cpu::Core::dsb_nsh);
  taps_.injector.at(core, FaultSite::kIsbAsidRollover, [](cpu::Core& on) { on.isb(); });
}

void TlbFlush::broadcast(cpu::Core& core, const Flush& flush, TlbiKind kind,
                         std::uint64_t operand) {
  if (flush.fault == FaultAction::kNone) {
    core.tlbi({kind, Domain::kInner}, operand);
  } else {
    issue(core, flush, kind, operand);
  }
  see(core, flush.site, FlushMoment::kOutstanding);
  wait(core, flush.site, &cpu::Core::dsb_ish);
}

void TlbFlush::stage2_page(cpu::Core& core, FlushSite site, PhysAddr ipa) {
  const Flush flush = make(core, site);
  publish(core, site);
  broadcast(core, flush, TlbiKind::kIpas2e1, mmu::encode_va(VirtAddr(ipa.value), Asid(0), 0));
  broadcast(core, flush, TlbiKind::kVmalle1, 0);
  taps_.injector.at(core, FaultSite::kIsbStage2, [](cpu::Core& on) { on.isb(); });
}

void TlbFlush::stage2_all(cpu::Core& core, FlushSite site) {
  const Flush flush = make(core, site);
  publish(core, site);
  broadcast(core, flush, TlbiKind::kVmalls12e1, 0);
  taps_.injector.at(core, FaultSite::kIsbStage2, [](cpu::Core& on) { on.isb(); });
}

}  // namespace kpksim::kernel
