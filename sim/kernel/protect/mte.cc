// Memory tagging: a page-table page has an allocation tag, drawn when it is marked, and is accessed
// by pointers that carry this tag. There is no window: a write costs the store, and an LDG that
// makes the pointer (page_to_virt() of KASAN reads the tag in page->flags instead; a kernel that
// keeps a pointer for the entries of one table has fewer than the one for each entry here). What is
// paid besides are tag stores, a DC GVA for each line of a page that becomes a table or is freed.
//
// Pointers without a tag are 0xffff..., so their logical tag is 0b1111, and this is the match-all
// tag of the kernel's half if TCR_EL1.TCMA1 is set. Linux sets it with KASAN_HW_TAGS and only then
// checks tags at EL1 at all: KASAN finds the misuse of pointers that it has tagged, in 14 tags (0
// to 13; 14 is freed memory's), and a pointer without a tag is free to go anywhere. Here such a
// pointer is the attacker's, or a stray one, and must not pass: match_all=off leaves TCMA1 clear,
// and all memory that is no page table has the tag 0b1111, stored once at boot, before what is
// counted. This excludes KASAN, and tags of user memory (PROT_MTE) want PSTATE.TCO set where the
// kernel reaches them by the linear map. match_all=on is what Linux has.
//
// Tags are the physical page's: every Tagged mapping is covered, which is the linear map. Mappings
// of vmalloc are not Tagged. The hardware's table walks are not checked. Who knows the page's tag,
// or can read it with LDG, passes; who guesses one of those in use passes once in `tags` tries.

#include "sim/kernel/protect/mte.h"

#include "sim/kernel/pgtable.h"

namespace kpksim::kernel {
namespace {

// Of memory that is no page table: what pointers have that nobody has tagged.
constexpr mmu::MemoryTag kUntagged(mmu::kTags - 1);

void store_page(cpu::Core& core, Pfn page, mmu::MemoryTag tag) {
  const VirtAddr start = mmu::with_logical_tag(linear_va(address_of(page)), tag);
  for (std::uint64_t at = 0; at < kPageSize; at += cpu::kLineBytes) {
    if (const mmu::Fault fault = core.dc_gva(start + at)) {
      throw KernelOops("a store of tags is refused", fault);
    }
  }
}

}  // namespace

TaggedTables::TaggedTables(const ProtectionContext& context, const Parameters& parameters)
    : tags_(parameters.number("tags")),
      match_all_(parameters.is_on("match_all")),
      random_(parameters.number("seed")) {
  context.machine.memory().tags().set_rest(kUntagged);
}

void TaggedTables::boot(mmu::Registers& regs) const {
  regs.tcr = mmu::tcr::kTbid1.set(mmu::tcr::kTbi1.set(regs.tcr, 1), 1);  // TCR_MTE_FLAGS
  regs.tcr = mmu::tcr::kTcma1.set(regs.tcr, match_all_ ? 1 : 0);
  regs.sctlr = mmu::sctlr::kAta.set(regs.sctlr, 1);
  regs.sctlr = mmu::sctlr::kTcf.set(regs.sctlr, mmu::sctlr::kTcfSynchronous);
}

void TaggedTables::mark(cpu::Core& core, Pfn first, std::uint64_t count, TableKind) {
  for (std::uint64_t i = 0; i < count; ++i) {
    store_page(core, first + i, mmu::MemoryTag(static_cast<std::uint8_t>(random_() % tags_)));
  }
}

void TaggedTables::unmark(cpu::Core& core, Pfn first, std::uint64_t count) {
  for (std::uint64_t i = 0; i < count; ++i) store_page(core, first + i, kUntagged);
}

VirtAddr TaggedTables::pointer_to(cpu::Core& core, VirtAddr linear) {
  const cpu::LoadResult tagged = core.ldg(linear);
  if (tagged.fault) throw KernelOops("a load of a tag is refused", tagged.fault);
  return VirtAddr(tagged.value);
}

std::vector<ParameterInfo> tag_parameters() {
  return {{"tags", "tags", "how many are drawn from for page tables, from 0 on (KASAN: 14)", "14",
           ParameterInfo::Kind::kNumber, 1, kUntagged.value},
          {"seed", "", "of the draw", "1"},
          switch_parameter("match_all",
                           "pointers without a tag pass everywhere (TCR_EL1.TCMA1), as in Linux "
                           "with KASAN_HW_TAGS"),
          soft_parameter()};
}

CoreFeature memory_tagging() {
  return {"FEAT_MTE2 (memory tagging)", &cpu::CoreProfile::mte, "cortex-x4, neoverse-v2"};
}

namespace {

const Protections::Entry mte_entry{{
    .name = "mte",
    .description = "page-table pages have allocation tags, and are written by tagged pointers",
    .marks = "a tag",
    .refuses = {{mmu::FaultKind::kTagCheck}},
    .needs = memory_tagging(),
    .own_pointers = true,
    .parameters = tag_parameters(),
    .make = make_protection_of<TaggedTables>,
}};

}  // namespace
}  // namespace kpksim::kernel
