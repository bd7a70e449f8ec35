#include "sim/attack/pages.h"

#include "sim/attack/table_search.h"
#include "sim/base/error.h"
#include "sim/kernel/object/keyed_classes.h"

namespace kpksim::attack {
namespace {

using kernel::linear_va;
using mmu::Descriptor;

}  // namespace

Descriptor Pages::entry(Pfn table, VirtAddr va, unsigned level) const {
  const std::uint64_t index = va.value >> mmu::level_shift(level) & (kEntriesPerTable - 1);
  return {memory().read64(address_of(table) + index * 8)};
}

// The table with the entry for `va`, at `level` or where a block ends the walk.
Pfn Pages::table_at(Pfn root, VirtAddr va, unsigned level, const std::string& what) const {
  Pfn table = root;
  for (unsigned l = 0; l < level; ++l) {
    const Descriptor d = entry(table, va, l);
    if (!d.valid()) throw InputError(what + " does not exist at that moment");
    if (d.block()) return table;
    table = d.pfn();
  }
  return table;
}

VirtAddr Pages::place(std::uint32_t task, std::uint32_t region, std::uint64_t offset) const {
  workload::Operation op;
  op.kind = workload::OpKind::kTouch;
  op.task = task;
  op.region = region;
  op.address = offset;
  const auto at = execution_.place_of(op);
  if (!at) throw InputError("the region is not mapped at that moment");
  return *at;
}

Pfn Pages::frame(const PageRef& ref) const {
  const VirtAddr va = place(ref.task, ref.region, ref.offset);
  const Pfn table = table_at(kernel_.root_of(ref.task), va, mmu::kLastLevel, ref.text);
  const Descriptor d = entry(table, va, mmu::kLastLevel);
  if (!d.valid())
    throw InputError(ref.text + " is not there at that moment: nothing has touched it");
  return d.pfn();
}

Extent Pages::find(const PageRef& ref) const {
  const kernel::System& system = kernel_.system();
  const auto whole = [](Pfn page) { return Extent{address_of(page)}; };
  switch (ref.kind) {
    case PageRef::Kind::kNamed:
      return whole(named_.at(ref.name));
    case PageRef::Kind::kMarked:
      if (!marked) throw InputError("no page is marked or unmarked at that moment");
      return whole(*marked);
    case PageRef::Kind::kRoot:
      return whole(kernel_.root_of(ref.task));
    case PageRef::Kind::kSwapper:
      return whole(system.linear_map.root());
    case PageRef::Kind::kTable:
      return whole(table_at(kernel_.root_of(ref.task), place(ref.task, ref.region, ref.offset),
                            ref.level, ref.text));
    case PageRef::Kind::kFrame:
      return whole(frame(ref));
    case PageRef::Kind::kLinear:
      return whole(table_at(system.linear_map.root(), linear_va(address_of(named_.at(ref.name))),
                            ref.level, ref.text));
    case PageRef::Kind::kVmalloc:
      return whole(table_at(system.linear_map.root(), place(ref.task, ref.region, ref.offset),
                            mmu::kLastLevel, ref.text));
    case PageRef::Kind::kCred:
      return {kernel_.cred_of(ref.task).object, kernel::Creds::kBytes};
    case PageRef::Kind::kClass:
      return whole(system.classes->pages(ref.of_class).first());
  }
  throw ModelError("a page of no kind");
}

bool Pages::is_table(Pfn page) const { return attack::is_table(kernel_, struck_, page); }

}  // namespace kpksim::attack
