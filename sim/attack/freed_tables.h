#pragma once
// Which pages were page tables, are none any more, and have not become anything else since but an
// object that a strike takes.

#include <map>

#include "sim/kernel/buddy.h"
#include "sim/kernel/observer.h"

namespace kpksim::attack {

class FreedTables final : public kernel::Observer {
 public:
  // `buddy` outlives it.
  explicit FreedTables(const kernel::Buddy& buddy) : buddy_(buddy) {}

  bool has(Pfn page) const {
    const auto found = freed_.find(page);
    if (found == freed_.end()) return false;
    // Once it went to the page allocator, whoever else gets it makes something else of it.
    return found->second != Where::kGivenBack || buddy_.is_free(page);
  }
  void became_object(Pfn page) {
    if (const auto found = freed_.find(page); found != freed_.end()) found->second = Where::kObject;
  }

  void table_taken(cpu::Core&, Pfn table, Pfn) override { freed_.erase(table); }
  void table_freed(cpu::Core&, Pfn table) override { freed_[table] = Where::kHeld; }
  void frames_freed(Pfn first, unsigned order) override {
    const auto end = freed_.lower_bound(first + (1ull << order));
    for (auto i = freed_.lower_bound(first); i != end; ++i) i->second = Where::kGivenBack;
  }

 private:
  enum class Where : std::uint8_t { kHeld, kGivenBack, kObject };

  const kernel::Buddy& buddy_;
  std::map<Pfn, Where> freed_;
};

}  // namespace kpksim::attack
