#pragma once
// What the pages are that a scenario names, in the model as it stands at the moment: found by
// reading the tables' words in memory.

#include <map>
#include <optional>
#include <set>
#include <string>

#include "sim/attack/freed_tables.h"
#include "sim/attack/scenario.h"
#include "sim/kernel/kernel.h"
#include "sim/workload/execution.h"

namespace kpksim::attack {

// Where something lies: a page, and for objects smaller than one the bytes of it.
struct Extent {
  PhysAddr start{0};
  std::uint64_t bytes = kPageSize;

  bool has(PhysAddr word) const { return word >= start && word < start + bytes; }
};

class Pages {
 public:
  // Both outlive it.
  Pages(kernel::Kernel& kernel, const workload::Execution& execution)
      : kernel_(kernel), execution_(execution), freed_(kernel.system().buddy) {
    kernel.system().set_observer(&freed_);
  }
  ~Pages() { kernel_.system().set_observer(nullptr); }
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;

  // InputError, without a place: there is no such page now.
  Extent find(const PageRef& ref) const;
  Pfn page(const PageRef& ref) const { return frame_of(find(ref).start); }
  VirtAddr place(std::uint32_t task, std::uint32_t region, std::uint64_t offset) const;
  // Is the page one of the tables that some walk would read now?
  bool is_table(Pfn page) const;
  // Or was it one, and nothing else since?
  bool is_freed_table(Pfn page) const { return freed_.has(page) && !is_table(page); }
  // A strike has taken it.
  void became_object(Pfn page) { freed_.became_object(page); }
  // A strike has changed a word of the page.
  void struck(Pfn page) { struck_.insert(page); }

  void name(const std::string& name, Pfn page) { named_[name] = page; }
  std::optional<Pfn> marked;  // while a page is marked or unmarked

 private:
  mmu::Descriptor entry(Pfn table, VirtAddr va, unsigned level) const;
  Pfn table_at(Pfn root, VirtAddr va, unsigned level, const std::string& what) const;
  Pfn frame(const PageRef& ref) const;
  mmu::PhysicalMemory& memory() const { return kernel_.system().machine.memory(); }

  kernel::Kernel& kernel_;
  const workload::Execution& execution_;
  std::map<std::string, Pfn> named_;
  std::set<Pfn> struck_;
  FreedTables freed_;
};

}  // namespace kpksim::attack
