#include "sim/attack/strokes.h"

#include "sim/base/error.h"
#include "sim/kernel/prot.h"

namespace kpksim::attack {
namespace {

using kernel::linear_va;

constexpr poe::Access kKernelWrite{poe::AccessKind::kWrite, 1, false};
constexpr poe::Access kKernelRead{poe::AccessKind::kRead, 1, false};
constexpr poe::Access kUnprivilegedWrite{poe::AccessKind::kWrite, 1, true};
constexpr poe::Access kUserWrite{poe::AccessKind::kWrite, 0, false};

// What a forged descriptor of a user mapping says: everything is allowed.
mmu::Descriptor forged_leaf(Pfn page) {
  return kernel::user_leaf(address_of(page), mmu::kLastLevel, true, true);
}

}  // namespace

std::uint64_t Strokes::value_of(const Forged& forged) const {
  switch (forged.kind) {
    case Forged::Kind::kNumber:
      return forged.number;
    case Forged::Kind::kLeaf:
      return forged_leaf(pages_.page(forged.page)).raw;
    case Forged::Kind::kTable:
      return kernel::table_descriptor(pages_.page(forged.page)).raw;
  }
  return 0;
}

// The pages of an object get this tag, by the kernel's own stores through the linear map.
mmu::Fault Strokes::store_tags(const Strike& strike, cpu::Core& core, Pfn first,
                               mmu::MemoryTag tag) const {
  const VirtAddr start = mmu::with_logical_tag(linear_va(address_of(first)), tag);
  const std::uint64_t bytes = kPageSize << strike.order;
  for (std::uint64_t at = 0; at < bytes; at += cpu::kLineBytes) {
    if (const mmu::Fault fault = core.dc_gva(start + at)) return fault;
  }
  return {};
}

void Strokes::take(const Strike& strike, cpu::Core& core, Blow& out) {
  const auto page = kernel_.system().buddy.allocate(
      core, strike.order,
      strike.movable ? kernel::Mobility::kMovable : kernel::Mobility::kUnmovable);
  if (!page) throw InputError("out of memory (give the machine more --memory)");
  pages_.name(strike.page.name, *page);
  pages_.became_object(*page);
  if (const auto tag = pointers_.take(strike.page.name)) {
    out.fault = store_tags(strike, core, *page, *tag);
  }
}

// A page that is freed twice must have been handed out again in between: what the kernel's own
// lists are like where it was not is not modelled.
void Strokes::free(const Strike& strike, cpu::Core& core, Blow& out) {
  kernel::Buddy& buddy = kernel_.system().buddy;
  const Pfn first = pages_.page(strike.page);
  for (std::uint64_t i = 0; i < 1ull << strike.order; ++i) {
    if (buddy.is_free(first + i)) {
      out.happened = false;
      return;
    }
  }
  if (const auto tag = pointers_.freed(core)) {
    out.fault = store_tags(strike, core, first, *tag);
    if (out.fault) return;
  }
  buddy.free(core, first, strike.order);
}

void Strokes::map_user(const Strike& strike, cpu::Core& core) {
  kernel::System& system = kernel_.system();
  const VirtAddr va = pages_.place(strike.task, strike.region, strike.place);
  const PhysAddr at =
      system.find_entry(core, kernel_.root_of(strike.task), va, mmu::kLastLevel, true);
  system.tables.set_pte(core, at, forged_leaf(pages_.page(strike.page)), false);
}

// The descriptors that a walk reads now, and whether the TLB says something else.
void Strokes::note_walk(const cpu::Core& core, VirtAddr va, const poe::Access& access,
                        Blow& out) const {
  const mmu::Registers& regs = core.mmu().registers();
  out.by_mmu = true;
  out.address = va;
  out.por_el1 = regs.por_el1;
  out.ttbr0_el1 = regs.ttbr0;
  out.overlays = mmu::tcr2::kPoe.get(regs.tcr2) != 0;
  const mmu::WalkResult fresh = mmu::walk(
      memory(), regs, va, access, [&](const mmu::WalkStep& step) { out.walk.push_back(step); });
  const mmu::Leaf* const cached = core.mmu().cached(va, false);
  out.from_tlb = cached != nullptr && (fresh.fault || cached->base != fresh.base ||
                                       cached->descriptor.raw != fresh.descriptor.raw);
}

// What the tag check compares, if it gets so far.
void Strokes::note_tags(const cpu::Core& core, VirtAddr va, PhysAddr word, Blow& out) const {
  if (!core.mmu().checks_tags()) return;
  const bool compared = mmu::is_checked(mmu::decode_regime(core.mmu().registers()), va);
  out.tags = Blow::Tags{mmu::logical_tag(va), memory().tags().at(word), compared};
}

void Strokes::note_page(Pfn page, Blow& out) const {
  out.on_table = pages_.is_table(page);
  out.on_freed_table = !out.on_table && pages_.is_freed_table(page);
}

std::optional<PhysAddr> Strokes::user_write(const Strike& strike, cpu::Core& core,
                                            std::uint64_t value, Blow& out) {
  const VirtAddr va = pages_.place(strike.task, strike.region, strike.place) + strike.offset;
  note_walk(core, va, kUserWrite, out);
  out.fault = core.user_access(va, poe::AccessKind::kWrite);
  // Where it leads, by what the core has cached; or led, but for stage 2.
  const mmu::Translation used = core.mmu().peek(va, kUserWrite, false);
  if (used.fault && !used.fault.stage2) return std::nullopt;
  const PhysAddr word = used.pa;
  note_page(frame_of(word), out);
  if (!out.fault) memory().write64(word, value);
  return word;
}

void Strokes::alias_write(const Strike& strike, cpu::Core& core, PhysAddr word, std::uint64_t value,
                          Blow& out) {
  kernel::System& system = kernel_.system();
  const VirtAddr va(kernel_.memory().vmalloc(1, false));
  const PhysAddr at = system.find_entry(core, system.linear_map.root(), va, mmu::kLastLevel, false);
  system.tables.set_pte(
      core, at, kernel::kernel_leaf(address_of(frame_of(word)), mmu::kLastLevel, false), true);
  system.flush.kernel_range(core, kernel::FlushSite::kSetMemory, va, va + kPageSize);
  note_walk(core, va + strike.offset, kKernelWrite, out);
  out.fault = core.store64(va + strike.offset, value);
}

std::optional<PhysAddr> Strokes::access(const Strike& strike, cpu::Core& core, std::uint64_t value,
                                        Blow& out) {
  if (strike.primitive == Primitive::kUserWrite) return user_write(strike, core, value, out);
  const PhysAddr word = pages_.find(strike.page).start + strike.offset;
  note_page(frame_of(word), out);
  switch (strike.primitive) {
    case Primitive::kWrite: {
      const VirtAddr va = pointers_.to(strike, word, core);
      note_walk(core, va, kKernelWrite, out);
      note_tags(core, va, word, out);
      out.fault = core.store64(va, value);
      break;
    }
    case Primitive::kRead: {
      const VirtAddr va = pointers_.to(strike, word, core);
      note_walk(core, va, kKernelRead, out);
      note_tags(core, va, word, out);
      out.fault = core.load64(va).fault;
      break;
    }
    case Primitive::kCopyToUser: {
      const VirtAddr va = pointers_.to(strike, word, core);
      note_walk(core, va, kUnprivilegedWrite, out);
      out.fault = core.unprivileged_access(va, poe::AccessKind::kWrite);
      if (!out.fault) memory().write64(word, value);
      break;
    }
    case Primitive::kAliasWrite:
      alias_write(strike, core, word, value, out);
      break;
    case Primitive::kFlip:
      memory().write64(word, memory().read64(word) ^ 1ull << strike.bit);
      break;
    case Primitive::kDma:
      memory().write64(word, value);
      break;
    default:
      throw ModelError("a strike that is no access");
  }
  return word;
}

void Strokes::check(const Strike& strike) const {
  value_of(strike.value);
  if (strike.primitive == Primitive::kUserWrite) {
    pages_.place(strike.task, strike.region, strike.place);
  } else if (strike.primitive != Primitive::kSetSaved) {
    pages_.page(strike.page);
  }
}

std::optional<Blow> Strokes::strike(const Strike& strike, cpu::Core& core) {
  Blow out{strike.text};
  out.core = core.id();
  out.happened = true;
  switch (strike.primitive) {
    case Primitive::kTake:
      take(strike, core, out);
      return out.fault ? std::optional(out) : std::nullopt;
    case Primitive::kFree:
      free(strike, core, out);
      return out.fault || !out.happened ? std::optional(out) : std::nullopt;
    case Primitive::kKeep: {
      const Pfn page = pages_.page(strike.of);
      pages_.name(strike.page.name, page);
      pointers_.keep(strike.page.name, address_of(page));
      return std::nullopt;
    }
    case Primitive::kMapUser:
      map_user(strike, core);
      return std::nullopt;
    case Primitive::kSetRoot:
      core.msr_ttbr(address_of(pages_.page(strike.page)).value, core.mmu().registers().ttbr1);
      core.isb();
      root_forged_ = true;
      return out;
    case Primitive::kSetSaved:
      return out;  // whoever keeps it has changed it
    default:
      break;
  }
  const auto word = access(strike, core, value_of(strike.value), out);
  if (word && !out.fault && strike.primitive != Primitive::kRead) {
    changes_[*word] = memory().read64(*word);
    pages_.struck(frame_of(*word));
  }
  return out;
}

std::optional<Strokes::Change> Strokes::change_in(const Extent& extent) const {
  const auto found = changes_.lower_bound(extent.start);
  if (found == changes_.end() || !extent.has(found->first)) return std::nullopt;
  return Change{found->first, found->second};
}

}  // namespace kpksim::attack
