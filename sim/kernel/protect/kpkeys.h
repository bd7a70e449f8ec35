#pragma once
// What kpkeys has on both architectures: the versions of the series and what they combine with, and
// keys as marks.

#include <string>

#include "sim/kernel/linear_map.h"
#include "sim/kernel/pgalloc/allocator.h"
#include "sim/kernel/protect/protection.h"
#include "sim/pkrs/context.h"

namespace kpksim::kernel {

inline constexpr pkrs::Context kContextDefault = pkrs::context_default(kPkeyPgtables);

inline ParameterInfo series_parameter() {
  return choice_parameter(
      "series",
      "version of the series: v5 maps with pages alone, v6 with blocks too (by pba), v7 to v9 "
      "with pages again; v9 writes no register whose value stays",
      "v6", {"v5", "v6", "v7", "v8", "v9"});
}

// The series' versions before and after v6 map the linear map with pages, and have no block
// allocator.
inline std::string against_kpkeys(const Combination& c) {
  const std::string& series = c.protection_parameters.choice("series");
  if (series == "v6") return {};
  if (c.linear_map != Granularity::kPte) {
    return "series " + series + " maps the linear map with pages; use 'pte', or series=v6";
  }
  return {};
}

// Pages are marked by their key in the linear map.
class KeyedTables : public Protection {
 public:
  explicit KeyedTables(const ProtectionContext& context) : linear_map_(context.linear_map) {}
  void mark(cpu::Core& core, Pfn first, std::uint64_t count, TableKind) override {
    linear_map_.set_memory_pkey(core, first, count, kPkeyPgtables);
  }
  void unmark(cpu::Core& core, Pfn first, std::uint64_t count) override {
    linear_map_.set_memory_pkey(core, first, count, kPkeyDefault);
  }

 private:
  LinearMap& linear_map_;
};

}  // namespace kpksim::kernel
